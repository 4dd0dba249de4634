# SPDX-License-Identifier: GPL-2.0-or-later
"""Mechanisms from URDF files: what they say is taken over, what cannot be represented is refused."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import REPOSITORY
from leg import refused, write

from cosim.body.kinds import load
from cosim.body.musculoskeletal.description import BoxShape, RodShape, SphereShape
from cosim.body.musculoskeletal.kinematics import Kinematics
from cosim.body.musculoskeletal.urdf import to_urdf
from cosim.body.rotation import matrix_from_rpy

FORELIMB = REPOSITORY / "models/forelimb/body.toml"


def test_a_mechanism_comes_back_from_urdf_as_it_was(tmp_path):
    original = load(FORELIMB)
    (tmp_path / "forelimb.urdf").write_text(to_urdf(original))
    (tmp_path / "body.toml").write_text(
        'name = "forelimb"\nurdf = "forelimb.urdf"\ngravity_m_s2 = [0.0, 0.0, -9.81]\n'
        'tip = { link = "foot", point_m = [0.0, 0.0, 0.0] }\n'
    )
    copy = load(tmp_path / "body.toml")

    def carried_over(point):  # a point on a link of the original in the frame of that link in the copy
        to, at = copy.link(point.link), original.link(point.link).in_model(point.point_m)
        return point.model_copy(update={"point_m": tuple(to.rotation().T @ (at - to.position_m))})

    muscles = tuple(
        muscle.model_copy(update={"path": tuple(map(carried_over, muscle.path))}) for muscle in original.muscles
    )
    copy = copy.model_copy(update={"muscles": muscles, "tip": carried_over(original.tip)})
    assert [joint.limits_rad for joint in copy.revolute_joints] == [
        joint.limits_rad for joint in original.revolute_joints
    ]
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


def test_a_urdf_file_is_placed_at_its_zero_pose(tmp_path):
    body = load(write(tmp_path))
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


def test_shapes_of_a_urdf_file_are_kept_where_they_can_be(tmp_path):
    body = load(write(tmp_path))
    (rod,) = body.link("thigh").shapes  # it keeps the length of the cylinder
    assert isinstance(rod, RodShape) and [end[2] for end in rod.ends_m] == pytest.approx([-0.17, -0.03])
    assert (rod.radius_m, rod.colour, rod.solid) == (0.03, "blue", True)
    box, ball = body.link("shank").shapes
    assert isinstance(box, BoxShape) and box.size_m == pytest.approx((0.2, 0.04, 0.02)) and not box.solid
    assert body.colours[box.colour] == (0.9, 0.1, 0.1)
    assert isinstance(ball, SphereShape) and ball.solid and ball.colour == "plain"
    flat, solid = load(write(tmp_path, urdf=[('length="0.2"', 'length="0.05"')])).link("thigh").shapes
    assert isinstance(flat, SphereShape) and flat.radius_m == 0.03 and not flat.solid and solid.solid


def test_every_problem_of_a_file_is_told(tmp_path):
    file = write(tmp_path, urdf=[('type="continuous"', 'type="planar"'), ('damping="0.05"', 'damping="wet"')])
    assert "leg.urdf: 2 problem(s)" in (message := refused(lambda: load(file)))
    assert "joints[hip].type = 'planar'" in message and "joints[knee].dynamics.damping = 'wet'" in message


def test_a_root_link_called_world_is_the_world(tmp_path):
    changes = [('<link name="base"/>', '<link name="world"/>'), ('parent link="base"', 'parent link="world"')]
    body = load(write(tmp_path, urdf=changes))
    assert [link.name for link in body.links] == ["thigh", "shank", "foot"]
    assert body.joint_above("thigh").parent == "world"


@pytest.mark.parametrize(
    "old, new, said",
    [
        ('type="continuous"', 'type="prismatic"', ["joints[hip].type = 'prismatic'", "fixed, revolute, continuous"]),
        ('type="continuous"', 'type="floating"', ["joints[hip].type = 'floating'"]),
        ('<axis xyz="0 2 0"/>', '<axis xyz="0 2 0"/><mimic joint="knee"/>', ["joints[hip]: mimic 'knee'"]),
        ('<axis xyz="0 2 0"/>', '<axis xyz="0 0 0"/>', ["joints[hip].axis", "length 1, this one has 0"]),
        ('xyz="0 2 0"', 'xyz="${up}"', ["joints[hip].axis.xyz = '${up}'", "3 numbers"]),
        (
            '<limit lower="-0.1" upper="2" effort="10" velocity="5"/>',
            "",
            ["joints[knee]: a revolute joint needs a limit"],
        ),
        ('lower="-0.1"', 'lower="3"', ["joints[knee].limits_rad = [3.0, 2.0]", "below the upper"]),
        ('damping="0.05"', 'damping="-1"', ["joints[knee].damping_N_m_s_rad = -1.0"]),
        ('damping="0.05"', 'friction="0.1"', ["joints[knee].dynamics.friction = 0.1: must be 0"]),
        ('<parent link="base"/>', "", ["joints[hip]: parent.link is missing"]),
        ('<link name="foot">', "<link>", ["links: name is missing"]),
        ('parent link="thigh"', 'parent link="tie"', ["joints[knee].parent = 'tie'", "there are base, thigh, shank"]),
        ('child link="foot"', 'child link="thigh"', ["links[thigh]: child of 2 joints"]),
        ('<link name="foot">', '<link name="shank">', ["joints[ankle].child = 'foot'"]),
        (
            'parent link="base"',
            'parent link="foot"',
            ["links foot, shank, thigh: their joints go round", "lead to 'base'"],
        ),
        ('<mass value="2"/>', '<mass value="0"/>', ["links[thigh].mass_kg = 0.0", "greater than 0"]),
        ('ixx="0.02"', "", ["links[thigh].inertial: inertia.ixx is missing"]),
        (
            '<mass value="0.1"/><inertia ixx="1e-4" iyy="1e-4" izz="1e-4"/></inertial>',
            "</inertial>",
            ["links[foot].inertial: mass.value is missing"],
        ),
        ('radius="0.03"', 'radius="thin"', ["links[thigh].visual[0].radius = 'thin'"]),
        ('rgba="0.1 0.2 0.9 1"', 'rgba="0.1 0.2 9 1"', ["colours.blue[2] = 9.0", "less than or equal to 1"]),
        (
            '<robot name="leg">',
            '<robot name="leg" xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:property name="a"/>',
            ["<xacro:property>", "xacro"],
        ),
        ("</robot>", "", ["not valid XML"]),
    ],
)
def test_a_mechanism_that_cannot_be_represented_is_refused(tmp_path, old, new, said):
    file = write(tmp_path, urdf=[(old, new)])
    message = refused(lambda: load(file))
    for part in [str(file.parent / "leg.urdf"), *said]:
        assert part in message


def test_only_links_that_move_need_an_inertial(tmp_path):
    inertial = '<inertial><mass value="0.1"/><inertia ixx="1e-4" iyy="1e-4" izz="1e-4"/></inertial>'
    file = write(tmp_path, urdf=[(inertial, "")])
    assert "links[foot]: it moves and has no inertial" in refused(lambda: load(file))
    empty = '<link name="base"><inertial><mass value="0"/></inertial></link>'
    assert load(write(tmp_path, urdf=[('<link name="base"/>', empty)])).link("base").mass_kg > 0.0
