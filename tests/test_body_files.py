# SPDX-License-Identifier: GPL-2.0-or-later
"""Bodies from OpenSim and URDF files: what they say is taken over, what cannot be represented is refused."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from cosim.body.description import Box, Rod, Sphere
from cosim.body.kinds import load, save
from cosim.body.kinematics import Kinematics
from cosim.body.readers import osim
from cosim.body.rotation import matrix_from_rpy
from cosim.body.urdf import to_urdf

ROOT = Path(__file__).parents[1]
FORELIMB = ROOT / "models/forelimb/body.toml"
FORELIMB_OSIM = ROOT / "tests/data/forelimb.osim"

# A thigh and a shank that hang on a base, with a fixed foot; the shank's frame is turned against the thigh's.
LEG = """<robot name="leg">
  <material name="blue"><color rgba="0.1 0.2 0.9 1"/></material>
  <link name="base"/>
  <link name="thigh">
    <inertial><origin xyz="0 0 -0.1"/><mass value="2"/><inertia ixx="0.02" iyy="0.02" izz="0.002"/></inertial>
    <visual><origin xyz="0 0 -0.1"/><geometry><cylinder radius="0.03" length="0.2"/></geometry>
      <material name="blue"/></visual>
    <visual><origin rpy="0.3 0 0"/><geometry><box size="1 1 1"/></geometry></visual>
    <visual><geometry><mesh filename="thigh.stl"/></geometry></visual>
    <collision><origin xyz="0 0 -0.1"/><geometry><cylinder radius="0.03" length="0.2"/></geometry></collision>
  </link>
  <link name="shank">
    <inertial><origin xyz="0.1 0 0" rpy="0 0.1 0"/><mass value="1"/>
      <inertia ixx="0.001" iyy="0.01" izz="0.01" ixy="0.0001"/></inertial>
    <visual><origin xyz="0.1 0 0" rpy="0 1.5707963267948966 0"/>
      <geometry><box size="0.02 0.04 0.2"/></geometry>
      <material name=""><color rgba="0.9 0.1 0.1 1"/></material></visual>
    <collision><origin xyz="0.2 0 0"/><geometry><sphere radius="0.02"/></geometry></collision>
  </link>
  <link name="foot">
    <inertial><mass value="0.1"/><inertia ixx="1e-4" iyy="1e-4" izz="1e-4"/></inertial>
  </link>
  <joint name="hip" type="continuous">
    <parent link="base"/><child link="thigh"/><origin xyz="0 0 1"/><axis xyz="0 2 0"/>
  </joint>
  <joint name="knee" type="revolute">
    <parent link="thigh"/><child link="shank"/><origin xyz="0 0 -0.2" rpy="0 1.5707963267948966 0"/>
    <axis xyz="0 1 0"/><limit lower="-0.1" upper="2" effort="10" velocity="5"/><dynamics damping="0.05"/>
  </joint>
  <joint name="ankle" type="fixed"><parent link="shank"/><child link="foot"/><origin xyz="0.2 0 0"/></joint>
</robot>
"""

# Two muscles of it; the first in the layout of OpenSim 4, the second in that of older files.
LEG_OSIM = """<OpenSimDocument Version="40000"><Model><ForceSet><objects>
  <Millard2012EquilibriumMuscle name="flexor">
    <GeometryPath><PathPointSet><objects>
      <PathPoint name="P1"><socket_parent_frame>/bodyset/femur</socket_parent_frame>
        <location>-0.02 0 -0.05</location></PathPoint>
      <PathPoint name="P2"><socket_parent_frame>../../bodyset/shank</socket_parent_frame>
        <location>0.05 0 -0.03</location></PathPoint>
    </objects></PathPointSet></GeometryPath>
    <max_isometric_force>300</max_isometric_force>
    <optimal_fiber_length>0.15</optimal_fiber_length>
    <tendon_slack_length>0.05</tendon_slack_length>
    <pennation_angle_at_optimal>0.2</pennation_angle_at_optimal>
    <max_contraction_velocity>8</max_contraction_velocity>
    <fiber_damping>0.05</fiber_damping>
    <activation_time_constant>0.015</activation_time_constant>
    <deactivation_time_constant>0.05</deactivation_time_constant>
    <minimum_activation>0.02</minimum_activation>
    <ActiveForceLengthCurve><minimum_value>0.1</minimum_value></ActiveForceLengthCurve>
    <TendonForceLengthCurve>
      <strain_at_one_norm_force>0.049</strain_at_one_norm_force>
    </TendonForceLengthCurve>
  </Millard2012EquilibriumMuscle>
  <Millard2012EquilibriumMuscle name="extensor">
    <GeometryPath><PathPointSet><objects>
      <PathPoint name="P1"><location>0.03 0 -0.05</location><body>femur</body></PathPoint>
      <PathPoint name="P2"><location>0.05 0 0.03</location><body>shank</body></PathPoint>
    </objects></PathPointSet><PathWrapSet><objects/></PathWrapSet></GeometryPath>
    <max_isometric_force>300</max_isometric_force>
    <optimal_fiber_length>0.15</optimal_fiber_length>
    <tendon_slack_length>0.05</tendon_slack_length>
    <isDisabled>false</isDisabled>
  </Millard2012EquilibriumMuscle>
  <CoordinateLimitForce name="stop"/>
</objects></ForceSet></Model></OpenSimDocument>
"""

LEG_TOML = """name = "leg"
urdf = "leg.urdf"
osim = "leg.osim"
osim_bodies = { femur = "thigh" }
gravity_m_s2 = [0.0, 0.0, -9.81]
tip = { link = "foot", point_m = [0.0, 0.0, 0.0] }
"""


@pytest.fixture
def write(tmp_path):
    """Write the leg's three files, each text after its (old, new) changes, and return the body file."""

    def make(toml=(), urdf=(), osim=()):
        for name, text, changes in (("body.toml", LEG_TOML, toml), ("leg.urdf", LEG, urdf),
                                    ("leg.osim", LEG_OSIM, osim)):
            for old, new in changes:
                assert old in text
                text = text.replace(old, new, 1)
            (tmp_path / name).write_text(text)
        return tmp_path / "body.toml"

    return make


def refused(load_file) -> str:
    with pytest.raises(ValueError) as error:
        load_file()
    return str(error.value)


# ----------------------------------------------------------------------------------------------------------
# OpenSim


def old_layout(text: str) -> str:
    text = text.replace("<socket_parent_frame>/bodyset/", "<body>")
    return text.replace("</socket_parent_frame>", "</body>")


@pytest.mark.parametrize("layout", [
    lambda text: text, old_layout, lambda text: text.replace("/bodyset/", "../../bodyset/")])
def test_muscles_that_opensim_wrote_are_those_of_the_forelimb(tmp_path, layout):
    (tmp_path / "muscles.osim").write_text(layout(FORELIMB_OSIM.read_text()))
    assert osim.read(tmp_path / "muscles.osim") == load(FORELIMB).muscles


def test_every_number_of_a_muscle_is_taken_over(write):
    flexor, extensor = load(write()).muscles
    assert flexor.model_dump() == {
        "name": "flexor", "max_isometric_force_N": 300.0, "optimal_fiber_length_m": 0.15,
        "tendon_slack_length_m": 0.05, "pennation_rad": 0.2, "max_contraction_velocity_per_s": 8.0,
        "fiber_damping": 0.05, "activation_time_constant_s": 0.015, "deactivation_time_constant_s": 0.05,
        "minimum_activation": 0.02,
        "path": ({"link": "thigh", "point_m": (-0.02, 0.0, -0.05)},
                 {"link": "shank", "point_m": (0.05, 0.0, -0.03)}),
    }
    assert (extensor.fiber_damping, extensor.minimum_activation) == (0.1, 0.01)  # OpenSim's defaults


def test_the_defaults_of_a_file_count(write):
    defaults = "<defaults><Millard2012EquilibriumMuscle><fiber_damping>0.01</fiber_damping>" \
               "</Millard2012EquilibriumMuscle></defaults>"
    flexor, extensor = load(write(osim=[("<Model>", f"<Model>{defaults}")])).muscles
    assert (flexor.fiber_damping, extensor.fiber_damping) == (0.05, 0.01)


@pytest.mark.parametrize("flag", ["<appliesForce>false</appliesForce>", "<isDisabled>true</isDisabled>"])
def test_muscles_that_are_not_in_use_are_left_out(write, flag):
    body = load(write(osim=[("<isDisabled>false</isDisabled>", flag)]))
    assert [muscle.name for muscle in body.muscles] == ["flexor"]


@pytest.mark.parametrize("place, new, said", [
    (f".//{osim.SUPPORTED}", "Thelen2003Muscle",
     ["muscles[flexor]: Thelen2003Muscle is not supported, only Millard2012EquilibriumMuscle"]),
    (".//PathPoint[@name='P2']", "MovingPathPoint",
     ["muscles[flexor].path[1]: MovingPathPoint 'P2'", "only PathPoint"]),
    (".//PathPoint", "ConditionalPathPoint",
     ["muscles[flexor].path[0]: ConditionalPathPoint 'P1'", "only PathPoint"]),
    (".//GeometryPath", "FunctionBasedPath", ["muscles[flexor]: it has no GeometryPath"]),
    (".//ForceSet", "ControllerSet", ["no Millard2012EquilibriumMuscle"]),
])
def test_classes_that_cannot_be_represented_are_refused(write, place, new, said):
    body_file = write()
    file = body_file.parent / "leg.osim"
    tree = ElementTree.parse(file)
    tree.find(place).tag = new
    tree.write(file)
    message = refused(lambda: load(body_file))
    for part in [str(file), *said]:
        assert part in message


@pytest.mark.parametrize("old, new, said", [
    ("<PathWrapSet><objects/>",
     "<PathWrapSet><objects><PathWrap><wrap_object>bone</wrap_object></PathWrap></objects>",
     ["muscles[extensor]: PathWrap around 'bone'", "straight"]),
    ("strain_at_one_norm_force>0.049", "strain_at_one_norm_force>0.033",
     ["muscles[flexor]:", "not TendonForceLengthCurve/strain_at_one_norm_force = 0.033 (default 0.049)"]),
    ("minimum_value>0.1", "minimum_value>0.2",
     ["muscles[flexor]:", "not ActiveForceLengthCurve/minimum_value = 0.2 (default 0)"]),
    ("<max_isometric_force>300", "<max_isometric_force>strong",
     ["muscles[flexor].max_isometric_force = 'strong'", "1 number"]),
    ("<max_isometric_force>300", "<max_isometric_force>-300",
     ["muscles[flexor].max_isometric_force_N = -300.0"]),
    ("<fiber_damping>0.05", "<fiber_damping>nan", ["muscles[flexor].fiber_damping = nan", "finite"]),
    ("<max_isometric_force>300</max_isometric_force>", "",
     ["muscles[flexor]: max_isometric_force is missing"]),
    ("<location>-0.02 0 -0.05<", "<location>-0.02 0<",
     ["muscles[flexor].path[0].location = '-0.02 0'", "3 numbers"]),
    ("<location>-0.02 0 -0.05</location>", "", ["muscles[flexor].path[0]: PathPoint 'P1' has no location"]),
    ("<body>shank", "<body>tibia",
     ["muscles[extensor].path[1]: body 'tibia'", "there are base, thigh, shank, foot"]),
    ("/bodyset/femur", "/jointset/knee/femur_offset",
     ["muscles[flexor].path[0]: frame '/jointset/knee/femur_offset'"]),
    ("<body>shank</body>", "", ["muscles[extensor].path[1]: frame '' is no body"]),
    ("</Model>", "", ["not valid XML", "mismatched tag"]),
])
def test_values_that_cannot_be_represented_are_refused(write, old, new, said):
    file = write(osim=[(old, new)])
    message = refused(lambda: load(file))
    for part in [str(file.parent / "leg.osim"), *said]:
        assert part in message


# ----------------------------------------------------------------------------------------------------------
# URDF


def test_a_mechanism_comes_back_from_urdf_as_it_was(tmp_path):
    original = load(FORELIMB)
    (tmp_path / "forelimb.urdf").write_text(to_urdf(original))
    (tmp_path / "body.toml").write_text(
        'name = "forelimb"\nurdf = "forelimb.urdf"\ngravity_m_s2 = [0.0, 0.0, -9.81]\n'
        'tip = { link = "foot", point_m = [0.0, 0.0, 0.0] }\n')
    copy = load(tmp_path / "body.toml")

    def carried_over(point):  # a point on a link of the original in the frame of that link in the copy
        to, at = copy.link(point.link), original.link(point.link).in_model(point.point_m)
        return point.model_copy(update={"point_m": tuple(to.rotation().T @ (at - to.position_m))})

    muscles = tuple(muscle.model_copy(update={"path": tuple(map(carried_over, muscle.path))})
                    for muscle in original.muscles)
    copy = copy.model_copy(update={"muscles": muscles, "tip": carried_over(original.tip)})
    assert [joint.limits_rad for joint in copy.revolute_joints] == [
        joint.limits_rad for joint in original.revolute_joints]
    assert [link.name for link in copy.links] == [link.name for link in original.links]
    for mine, theirs in zip(copy.links[1:], original.links[1:]):  # the first is fixed, its mass is of no use
        assert mine.mass_kg == theirs.mass_kg
        assert mine.in_model(mine.com_m) == pytest.approx(theirs.in_model(theirs.com_m), abs=1e-12)
        assert inertia_in_model(mine) == pytest.approx(inertia_in_model(theirs), rel=1e-9, abs=1e-15)
    compare_kinematics(copy, original)


def inertia_in_model(link):
    turn = link.rotation() @ matrix_from_rpy(link.com_rpy_rad)
    return turn @ link.inertia_kg_m2.matrix() @ turn.T


def compare_kinematics(mine, theirs):
    random = np.random.default_rng(1)
    low, high = np.array([joint.limits_rad for joint in theirs.revolute_joints]).T
    for angle in random.uniform(low, high, (20, len(low))):
        speed = random.normal(size=len(low))
        assert measured(mine, angle, speed) == pytest.approx(measured(theirs, angle, speed), rel=0, abs=1e-12)


def measured(description, angle, speed):
    """Tip position, muscle lengths, speeds and moment arms in one array."""
    n = len(description.muscles)
    tip, (length, length_speed), arm = np.empty(3), np.empty((2, n)), np.empty((n, len(angle)))
    Kinematics(description).measure(angle, speed, length, length_speed, arm, tip)
    return np.concatenate([tip, length, length_speed, arm.ravel()])


def test_a_urdf_file_is_placed_at_its_zero_pose(write):
    body = load(write())
    assert [link.name for link in body.links] == ["base", "thigh", "shank", "foot"]
    assert [joint.name for joint in body.joints] == ["world_base", "hip", "knee", "ankle"]
    assert body.link("shank").in_model((0.0, 0.0, 0.0)) == pytest.approx([0.0, 0.0, 0.8])
    assert body.link("foot").in_model((0.0, 0.0, 0.0)) == pytest.approx([0.0, 0.0, 0.6])
    hip, knee = body.revolute_joints
    assert (hip.axis, hip.limits_rad, hip.damping_N_m_s_rad) == ((0.0, 1.0, 0.0), None, 0.0)
    assert (knee.limits_rad, knee.damping_N_m_s_rad) == ((-0.1, 2.0), 0.05)
    kinematics = Kinematics(body)
    tip = kinematics.positions([0.0, np.pi / 2], kinematics.points([body.tip]))  # it kicks backwards
    assert tip[0] == pytest.approx([-0.2, 0.0, 0.8])


def test_shapes_of_a_urdf_file_are_kept_where_they_can_be(write):
    body = load(write())
    rod, = body.link("thigh").shapes  # it keeps the length of the cylinder
    assert isinstance(rod, Rod) and [end[2] for end in rod.ends_m] == pytest.approx([-0.17, -0.03])
    assert (rod.radius_m, rod.colour, rod.solid) == (0.03, "blue", True)
    box, ball = body.link("shank").shapes
    assert isinstance(box, Box) and box.size_m == pytest.approx((0.2, 0.04, 0.02)) and not box.solid
    assert body.colours[box.colour] == (0.9, 0.1, 0.1)
    assert isinstance(ball, Sphere) and ball.solid and ball.colour == "plain"
    flat, solid = load(write(urdf=[('length="0.2"', 'length="0.05"')])).link("thigh").shapes
    assert isinstance(flat, Sphere) and flat.radius_m == 0.03 and not flat.solid and solid.solid


def test_every_problem_of_a_file_is_told(write):
    file = write(urdf=[('type="continuous"', 'type="planar"'), ('damping="0.05"', 'damping="wet"')])
    assert "leg.urdf: 2 problem(s)" in (message := refused(lambda: load(file)))
    assert "joints[hip].type = 'planar'" in message and "joints[knee].dynamics.damping = 'wet'" in message


def test_a_root_link_called_world_is_the_world(write):
    changes = [('<link name="base"/>', '<link name="world"/>'), ('parent link="base"', 'parent link="world"')]
    body = load(write(urdf=changes))
    assert [link.name for link in body.links] == ["thigh", "shank", "foot"]
    assert body.joint_above("thigh").parent == "world"


@pytest.mark.parametrize("old, new, said", [
    ('type="continuous"', 'type="prismatic"',
     ["joints[hip].type = 'prismatic'", "fixed, revolute, continuous"]),
    ('type="continuous"', 'type="floating"', ["joints[hip].type = 'floating'"]),
    ('<axis xyz="0 2 0"/>', '<axis xyz="0 2 0"/><mimic joint="knee"/>', ["joints[hip]: mimic 'knee'"]),
    ('<axis xyz="0 2 0"/>', '<axis xyz="0 0 0"/>', ["joints[hip].axis", "length 1, this one has 0"]),
    ('xyz="0 2 0"', 'xyz="${up}"', ["joints[hip].axis.xyz = '${up}'", "3 numbers"]),
    ('<limit lower="-0.1" upper="2" effort="10" velocity="5"/>', "",
     ["joints[knee]: a revolute joint needs a limit"]),
    ('lower="-0.1"', 'lower="3"', ["joints[knee].limits_rad = [3.0, 2.0]", "below the upper"]),
    ('damping="0.05"', 'damping="-1"', ["joints[knee].damping_N_m_s_rad = -1.0"]),
    ('damping="0.05"', 'friction="0.1"', ["joints[knee].dynamics.friction = 0.1: must be 0"]),
    ('<parent link="base"/>', "", ["joints[hip]: parent.link is missing"]),
    ('<link name="foot">', "<link>", ["links: name is missing"]),
    ('parent link="thigh"', 'parent link="tie"',
     ["joints[knee].parent = 'tie'", "there are base, thigh, shank"]),
    ('child link="foot"', 'child link="thigh"', ["links[thigh]: child of 2 joints"]),
    ('<link name="foot">', '<link name="shank">', ["joints[ankle].child = 'foot'"]),
    ('parent link="base"', 'parent link="foot"',
     ["links foot, shank, thigh: their joints go round", "lead to 'base'"]),
    ('<mass value="2"/>', '<mass value="0"/>', ["links[thigh].mass_kg = 0.0", "greater than 0"]),
    ('ixx="0.02"', "", ["links[thigh].inertial: inertia.ixx is missing"]),
    ('<mass value="0.1"/><inertia ixx="1e-4" iyy="1e-4" izz="1e-4"/></inertial>', "</inertial>",
     ["links[foot].inertial: mass.value is missing"]),
    ('radius="0.03"', 'radius="thin"', ["links[thigh].visual[0].radius = 'thin'"]),
    ('rgba="0.1 0.2 0.9 1"', 'rgba="0.1 0.2 9 1"', ["colours.blue[2] = 9.0", "less than or equal to 1"]),
    ('<robot name="leg">',
     '<robot name="leg" xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:property name="a"/>',
     ["<xacro:property>", "xacro"]),
    ("</robot>", "", ["not valid XML"]),
])
def test_a_mechanism_that_cannot_be_represented_is_refused(write, old, new, said):
    file = write(urdf=[(old, new)])
    message = refused(lambda: load(file))
    for part in [str(file.parent / "leg.urdf"), *said]:
        assert part in message


def test_only_links_that_move_need_an_inertial(write):
    inertial = '<inertial><mass value="0.1"/><inertia ixx="1e-4" iyy="1e-4" izz="1e-4"/></inertial>'
    assert "links[foot]: it moves and has no inertial" in refused(lambda: load(write(urdf=[(inertial, "")])))
    empty = '<link name="base"><inertial><mass value="0"/></inertial></link>'
    assert load(write(urdf=[('<link name="base"/>', empty)])).link("base").mass_kg > 0.0


# ----------------------------------------------------------------------------------------------------------
# Body files that include them


def test_a_body_of_included_files_moves(write):
    body = load(write()).make_body(physics_step_ms=1.0, coupling_step_ms=20.0)
    try:
        body.reset(angle_rad=[0.0, 0.3])
        start = body.tip.position_m.copy()
        for _ in range(10):
            body.muscles.excitation[body.muscles.index("flexor")] = 0.5
            body.advance()
        assert body.joints.angle_rad[body.joints.index("knee")] > 0.5
        assert np.linalg.norm(body.tip.position_m - start) > 0.02
    finally:
        body.close()


def test_the_body_file_adds_to_what_it_includes(write):
    more = """
[colours]
blue = [0.0, 0.0, 0.5]
[[links]]
name = "ball"
position_m = [0.0, 0.0, 0.5]
mass_kg = 0.2
inertia_kg_m2 = { xx = 1e-4, yy = 1e-4, zz = 1e-4 }
[[joints]]
name = "hold"
type = "fixed"
parent = "foot"
child = "ball"
[[muscles]]
name = "cord"
max_isometric_force_N = 100
optimal_fiber_length_m = 0.1
tendon_slack_length_m = 0.01
path = [{ link = "base", point_m = [0.1, 0.0, 0.0] }, { link = "ball", point_m = [0.0, 0.0, 0.0] }]
"""
    file = write()
    file.write_text(file.read_text() + more)
    body = load(file)
    assert [link.name for link in body.links] == ["base", "thigh", "shank", "foot", "ball"]
    assert [joint.name for joint in body.joints][-2:] == ["ankle", "hold"]
    assert [muscle.name for muscle in body.muscles] == ["flexor", "extensor", "cord"]
    assert body.colours["blue"] == (0.0, 0.0, 0.5)
    wrong = file.read_text().replace('name = "cord"', 'name = "flexor"')
    file.write_text(wrong.replace('parent = "foot"', 'parent = "toe"'))
    message = refused(lambda: load(file))
    for part in [str(file), "muscles[flexor]: 2 muscles have this name", "joints[hold].parent = 'toe'"]:
        assert part in message


def test_a_body_of_included_files_can_be_saved_as_one_file(write, tmp_path):
    body = load(write())
    save(body, tmp_path / "saved.toml")
    assert load(tmp_path / "saved.toml") == body


@pytest.mark.parametrize("old, new, said", [
    ('urdf = "leg.urdf"', 'urdf = "arm.urdf"', ["urdf = 'arm.urdf'", "there is no file"]),
    ('osim = "leg.osim"', "osim = 3", ["osim = 3", "name of a file"]),
    ('osim = "leg.osim"', "", ["osim_bodies is of no use without osim"]),
    ('femur = "thigh"', 'femur = "thigh", fibula = "shank"',
     ["osim_bodies.fibula", "there are femur, shank"]),
    ('femur = "thigh"', "femur = 1", ["osim_bodies = {'femur': 1}", "names of links"]),
    ('link = "foot"', 'link = "toe"', ["tip.link = 'toe'", "thigh, shank"]),
    ("tip = ", "links = [{ name = 'ball', position_m = [0, 0, 0], mass_kg = -1 }]\ntip = ",
     ["links[ball].mass_kg = -1", "links[ball].inertia_kg_m2: Field required"]),
    ("name = ", "links = 3\nname = ", ["body 'thigh' is no link"]),
    ("name = ", "muscles = 3\nname = ", ["muscles = 3"]),
])
def test_a_wrong_body_file_is_refused(write, old, new, said):
    file = write(toml=[(old, new)])
    message = refused(lambda: load(file))
    for part in [str(file.parent), *said]:
        assert part in message
