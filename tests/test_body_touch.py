# SPDX-License-Identifier: GPL-2.0-or-later
"""Hands on a body: reset, pushes, grips and placing, for bodies with muscles in both engines, and for vehicles."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st
from test_body_contact import pendulum, tree

from cosim.body.kind import Body
from cosim.body.kinds import load, make_body
from cosim.body.musculoskeletal.description import MusculoskeletalDescription
from cosim.body.musculoskeletal.kinematics import Kinematics
from cosim.body.musculoskeletal.leverage import Leverage
from cosim.body.nobody import NoBody
from cosim.body.touch import HeldPoint, Touch, grip
from cosim.control.commands.registry import parse

FORELIMB, ARM, HUSKY = (load(REPOSITORY / f"models/{name}/body.toml") for name in ("forelimb", "arm", "husky"))
BALL = pendulum(solid=True)  # falls on a box
COUPLING_MS = 20.0
PHYSICS_MS = {"vehicle": 4.0, "musculoskeletal": 1.0}
HUSKY_KG = 44.004

BODIES = {
    "husky": (HUSKY, {}),
    **{
        f"{name}-{engine}-{tendon}": (description, {"engine": engine, "tendon": tendon})
        for name, description, tendons in (
            ("forelimb", FORELIMB, ("rigid", "elastic")),
            ("arm", ARM, ("rigid", "elastic")),
            ("ball", BALL, ("rigid",)),
        )
        for engine in ("pybullet", "mujoco")
        for tendon in tendons
    },
}
LIMBS = [name for name in BODIES if name.startswith(("forelimb", "arm"))]


def start(name: str) -> Body:
    if "mujoco" in name:
        pytest.importorskip("mujoco")
    description, settings = BODIES[name]
    return make_body(description, PHYSICS_MS[description.kind], COUPLING_MS, **settings)


@pytest.fixture
def body(request) -> Iterator[Body]:
    """The body that the test's parameter names."""
    with closing(start(request.param)) as made:
        yield made


@pytest.fixture
def husky() -> Iterator[Body]:
    with closing(start("husky")) as made:
        yield made


def on(*names: str) -> Callable:
    """Run a test with these bodies."""
    return pytest.mark.parametrize("body", names, indirect=True)


def command(body: Body, level: float) -> None:
    """Commands of any kind of body, none where it has none."""
    if "wheels" in body.ports:
        body.ports["wheels"].left_rad_s, body.ports["wheels"].right_rad_s = 5.0 * level, 3.0 * level
    else:
        body.ports["muscles"].excitation = level


def run(body: Body, steps: int) -> list[bytes]:
    """What a body does by its first commands and then by commands that change, byte for byte."""
    done = []
    for step in range(steps):
        if step > 0:
            command(body, 0.2 + 0.7 * (step % 3) / 2)
        body.advance()
        done += [series.tobytes() for series in body.series.values()]
    return done


def target(body: Body) -> tuple[str, np.ndarray]:
    """A part, and a place to which it can be brought, not far from where it is."""
    if "pose" in body.ports:
        return body.parts[0], body.ports["pose"].position_m + [0.3, 0.2, 0.3]
    angle = body.joints.angle_rad.copy()
    name, now = body.joints.names[-1], body.joints.angle_rad[-1]
    body.set_joints({name: now + (0.1 if now < 0.1 else -0.1)})
    there = body.tip.position_m.copy()
    body.reset(angle)
    return "tip", there


def position(body: Body, part: str) -> np.ndarray:
    """Where hands would hold a part."""
    if "pose" in body.ports:
        return body._engine.chassis.at(body._link(part)).position_m
    return body._leverage.at(part, body.joints.angle_rad, body.joints.speed_rad_s).position_m


def handle(body: Body, part: str, place_m: np.ndarray, weight_n: float) -> list[bytes]:
    """All that hands can do, and what the body does meanwhile."""
    body.push(part, (0.0, weight_n, 2 * weight_n), 28.0)
    body.push(part, (0.0, weight_n, 0.0), 200.0, (0.0, 1e-3 * weight_n, 0.0))
    done = run(body, 2)
    body.hold(part, place_m)
    done += run(body, 3)
    body.place(part, place_m)
    return done + run(body, 1)


@on(*BODIES)
def test_after_a_reset_it_is_a_new_body_byte_for_byte(body, request):
    name = request.node.callspec.params["body"]
    with closing(start(name)) as other:
        part, place_m = target(other)
    new = {key: series.copy() for key, series in body.series.items()}
    weight_n = 100.0 if "husky" in name else 0.05
    with closing(start(name)) as other:
        untouched = run(other, 15)
    with closing(start(name)) as other:
        touched = handle(other, part, place_m, weight_n)
    assert untouched[: len(touched)] != touched
    for _ in range(3):
        assert handle(body, part, place_m, weight_n) == touched
        body.reset()
        assert all(body.series[key].tobytes() == new[key].tobytes() for key in new)
        assert run(body, 15) == untouched
        body.reset()


def test_a_reset_puts_ports_back_that_were_taken_before(husky):
    wheels, light, pose = (husky.ports[name] for name in ("wheels", "light", "pose"))
    start_m, light_m = pose.position_m.copy(), light.position_m.copy()
    light.brightness = 3.0
    husky.place("light", [0.0, 0.0, 1.0])
    run(husky, 5)
    assert pose.position_m[0] > start_m[0] and light.position_m[2] == 1.0
    husky.reset()
    assert (wheels.left_rad_s, wheels.right_rad_s, light.brightness) == (0.0, 0.0, 1.0)
    assert pose.position_m.tolist() == start_m.tolist() and light.position_m.tolist() == light_m.tolist()


def memory_mb() -> float:
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


@on("husky", "forelimb-pybullet-elastic", "forelimb-mujoco-elastic", "ball-pybullet-rigid")
def test_memory_is_flat_over_a_hundred_resets(body):
    def resets(times: int) -> float:
        for _ in range(times):
            body.advance()
            body.reset()
        return memory_mb()

    before = resets(10)
    assert resets(100) - before < 1.0


@on("forelimb-pybullet-rigid", "forelimb-mujoco-rigid", "husky")
def test_pushes_add_up_and_last_exactly_as_long_as_they_were_given(body):
    part = body.parts[1]

    def pushed(*pushes: tuple) -> list[bytes]:
        body.reset()
        for force_n, duration_ms in pushes:
            body.push(part, force_n, duration_ms)
        done = []
        for _ in range(4):
            body.advance()
            done += [series.copy() for series in body.series.values()]
        return [rows.tobytes() for rows in done]

    up, twice, none = (0.0, 0.0, 0.25), (0.0, 0.0, 0.5), (0.0, 0.0, 0.0)
    assert pushed((up, 40.0), (up, 40.0)) == pushed((twice, 40.0)) != pushed((twice, 44.0))
    assert pushed((up, 24.0), (up, 44.0)) == pushed((up, 44.0), (up, 24.0)) != pushed((up, 44.0), (up, 44.0))
    assert pushed((none, 40.0)) == pushed()


def hinge(push: Callable[[Body], None]) -> np.ndarray:
    """Joint speeds (40,) in rad/s of a pendulum without gravity and damping that hands push."""
    free = pendulum(solid=False).model_copy(update={"gravity_m_s2": (0.0, 0.0, 0.0)})
    joints = tuple(j if j.type == "fixed" else j.model_copy(update={"damping_N_m_s_rad": 0.0}) for j in free.joints)
    with closing(make_body(free.model_copy(update={"joints": joints}), 1.0, 40.0)) as body:
        push(body)
        body.advance()
        return body.series["joint_speed_rad_s"][:, 0]


def test_a_force_acts_at_the_centre_of_mass_from_the_next_step_until_its_last():
    inertia, length_m = 4e-5 + 0.1 * 0.2**2, 0.2  # kg m^2 and m: test_body_contact.py
    by_force = hinge(lambda body: body.push("arm", (0.0, 0.0, -0.01), 10.0))
    by_torque = hinge(lambda body: body.push("arm", (0.0, 0.0, 0.0), 10.0, (0.0, 0.002, 0.0)))
    per_step = 0.01 * length_m / inertia * 1e-3
    steps = np.minimum(np.arange(1, 41), 10)
    assert by_force == pytest.approx(per_step * steps, rel=1e-3)
    assert by_torque == pytest.approx(per_step * steps, rel=1e-3)
    aside = hinge(lambda body: body.push("arm", (0.0, 1.0, 0.0), 10.0, (0.5, 0.0, 0.5)))
    assert aside == pytest.approx(np.zeros(40), abs=1e-9)


@pytest.mark.parametrize("description", [tree("tip"), FORELIMB], ids=["tree", "forelimb"])
def test_joint_torques_and_inertia_are_those_of_mujoco(description):
    mujoco = pytest.importorskip("mujoco")
    from cosim.body.engines.mujoco import MuJoCoEngine

    kinematics, engine = Kinematics(description), MuJoCoEngine(description)
    leverage, chance = Leverage(description, kinematics), np.random.default_rng(1)
    model, data, n = engine._model, engine._data, len(description.revolute_joints)
    angle = chance.uniform(-0.2, 0.2, n)
    engine.reset(angle, np.zeros(n))
    mujoco.mj_forward(model, data)
    for part in leverage.parts[-2:]:
        force_n, torque_nm = chance.normal(size=(2, 3))
        link, theirs = model.body(part).id, np.zeros(model.nv)
        mujoco.mj_applyFT(model, data, force_n, torque_nm, data.xipos[link], link, theirs)
        ours = leverage.torque(angle, [Touch(part, force_n, torque_nm)])
        assert ours == pytest.approx(theirs[engine._address], abs=1e-6)  # its centres of mass are as exact
        assert np.abs(ours).max() > 1e-3
    acceleration, torque = chance.normal(size=n), np.zeros(model.nv)
    full = np.zeros(model.nv)
    full[engine._address] = acceleration
    mujoco.mj_mulM(model, data, torque, full)
    ours = leverage.inertia(kinematics.pose(angle)) @ acceleration
    assert ours == pytest.approx(torque[engine._address], rel=1e-9)


def own_force(engine, link: str, description: MusculoskeletalDescription, force_n, torque_nm) -> None:
    """Apply a force at the centre of mass of a link by the engine's own means, in the next step."""
    if type(engine).__name__ == "MuJoCoEngine":
        engine._data.xfrc_applied[engine._model.body(link).id] = [*force_n, *torque_nm]
        return
    import pybullet

    index, here = engine._index[description.joint_above(link).name], {"physicsClientId": engine._client}
    middle = pybullet.getLinkState(engine._body, index, computeForwardKinematics=True, **here)[0]
    pybullet.applyExternalForce(engine._body, index, force_n, middle, pybullet.WORLD_FRAME, **here)
    pybullet.applyExternalTorque(engine._body, index, torque_nm, pybullet.WORLD_FRAME, **here)


def test_a_push_moves_a_closed_loop_as_the_engine_s_own_external_force(start_engine, engine_name):
    force_n, torque_nm = np.array([0.05, -0.1, 0.08]), np.array([2e-4, -1e-4, 3e-4])
    leverage, n = Leverage(FORELIMB, Kinematics(FORELIMB)), len(FORELIMB.revolute_joints)
    moved = {}
    for way in ("ours", "theirs", "none"):
        engine = start_engine(engine_name, FORELIMB)
        for _ in range(40):
            torque = np.zeros(n)
            if way == "ours":
                torque = leverage.torque(engine.state()[0], [Touch("foot", force_n, torque_nm)])
            elif way == "theirs":
                own_force(engine, "foot", FORELIMB, force_n, torque_nm)
            engine.step(torque, 1e-3)
        moved[way] = engine.state()[0]
    assert np.abs(moved["theirs"] - moved["none"]).max() > 0.05
    assert np.abs(moved["ours"] - moved["theirs"]).max() < 5e-5


@pytest.mark.parametrize("part", ["tip", "humerus", "foot"])
def test_a_part_of_a_loop_gives_way_as_the_engine_says(start_engine, engine_name, part):
    """Acceleration by a force is what the force changes of the speed in a short step."""
    leverage, force_n = Leverage(FORELIMB, Kinematics(FORELIMB)), np.array([0.02, -0.05, 0.03])
    angle, still, speeds_m_s = np.zeros(6), np.zeros(6), []
    for torque in (still, leverage.torque(angle, [Touch(part, force_n, np.zeros(3))])):
        engine = start_engine(engine_name, FORELIMB)
        engine.step(torque, 1e-5)
        speeds_m_s.append(leverage.at(part, *engine.state()).speed_m_s)
    acceleration = np.subtract(*speeds_m_s[::-1]) / 1e-5
    assert leverage.at(part, angle, still).mobility_per_kg @ force_n == pytest.approx(acceleration, rel=0.02, abs=1e-3)


@pytest.mark.parametrize("mass_kg", [1e-4, 1.0, 50.0])
def test_a_grip_is_critically_damped_for_any_mass(mass_kg):
    """As (1 + r t) exp(-r t), here with steps that are short beside 1 / r."""
    rate_per_s, step_s = 20.0, 1e-4
    gap_m, speed_m_s, gaps_m = np.array([0.0, 0.01, 0.0]), np.zeros(3), []
    for _ in range(3000):
        force_n = grip(HeldPoint(gap_m, speed_m_s, np.eye(3) / mass_kg, 1.0), np.zeros(3), rate_per_s)
        speed_m_s = speed_m_s + step_s * force_n / mass_kg
        gap_m = gap_m + step_s * speed_m_s
        gaps_m.append(gap_m[1])
    time_s = step_s * np.arange(1, len(gaps_m) + 1)
    assert gaps_m == pytest.approx(0.01 * (1 + rate_per_s * time_s) * np.exp(-rate_per_s * time_s), abs=1e-5)


@on(*LIMBS)
def test_a_held_tip_goes_to_its_place_and_stays_there_whatever_muscles_do(body):
    part, place_m = target(body)
    body.reset(activation=0.3)
    apart_m = np.linalg.norm(body.tip.position_m - place_m)
    body.hold(part, place_m)
    chance, gaps_m = np.random.default_rng(0), []
    for step in range(40):
        body.muscles.excitation = 0.3 if step < 20 else chance.integers(0, 2, len(body.muscles.names))
        body.advance()
        gaps_m.append(np.linalg.norm(body.tip.position_m - place_m))
    # The spring of the arm, of 40 N/mm for each kg at the palm, gives way to muscles of hundreds of N.
    assert gaps_m[19] < 0.01 * apart_m + 1e-3 * (len(body.joints.names) == 2)
    assert max(gaps_m[20:]) < 0.05 * apart_m + 3e-3 * (len(body.joints.names) == 2)
    assert body.loop_error() < 1e-6
    body.hold(part, None)
    body.muscles.excitation = 0.0
    for _ in range(20):
        body.advance()
    assert np.linalg.norm(body.tip.position_m - place_m) > 0.1 * apart_m


@on("forelimb-pybullet-rigid", "forelimb-mujoco-elastic", "arm-pybullet-elastic", "husky")
def test_a_grip_far_away_or_many_of_them_do_not_shatter_a_body(body):
    movable = [part for part in body.parts if not part.startswith(("obstacle", "light"))]
    for far_m in ([1e6, -1e6, 1e6], [0.0, 0.0, -3.0]):
        for parts in (movable[:1], movable[-1:], movable):
            body.reset()
            for part in parts:
                body.hold(part, far_m)
            for _ in range(4):
                command(body, 0.3)
                body.advance()  # FloatingPointError where it diverges
                assert np.abs(body.series.get("joint_speed_rad_s", np.zeros(1))).max() < 60.0


def test_a_pushed_husky_gets_the_momentum_of_the_push(husky):
    turned = (0.0, 0.0, np.sin(0.6), np.cos(0.6))
    husky.place("husky", (0.0, 0.0, 2.0), turned)  # in the air, where nothing else pushes
    assert husky.ports["pose"].heading_rad == pytest.approx(1.2)
    force_n = np.array([300.0, -200.0, HUSKY_KG * 9.81])
    husky.push("husky", force_n, 100.0)
    for _ in range(6):
        husky.advance()
    way_m = husky.series["position_m"]
    speed_m_s = (way_m[-1] - way_m[0]) / (4 * 4e-3)
    falling_m_s = -9.81 * (5 * 20 + 10 + 2 - 100) * 1e-3
    expected = force_n / HUSKY_KG * 0.1 - [0, 0, 0.981] + [0, 0, falling_m_s]
    # Bullet damps by 4 % a second.
    assert HUSKY_KG * speed_m_s[:2] == pytest.approx(force_n[:2] * 0.1, rel=1e-2)
    assert speed_m_s[2] == pytest.approx(expected[2], abs=0.03)
    assert husky.ports["pose"].heading_rad == pytest.approx(1.2, abs=2e-3)


@pytest.mark.parametrize("part", ["husky", "base_link", "front_left_wheel_link", "front_bumper_link"])
def test_a_held_husky_hangs_by_its_weight_over_the_stiffness_below_its_place(husky, part):
    place_m = position(husky, part) + [0.3, 0.2, 0.5]
    husky.hold(part, place_m)
    for _ in range(150):
        husky.advance()
    gap_m = place_m - position(husky, part)
    rate_per_s = 0.2 / 4e-3
    if part == "husky":
        assert gap_m == pytest.approx([0, 0, 9.81 / rate_per_s**2], abs=2e-4)
    assert np.linalg.norm(gap_m) < 0.02
    husky.hold(part, None)
    for _ in range(30):
        husky.advance()
    assert husky.ports["pose"].position_m[2] < 0.1


def test_an_obstacle_stops_the_husky_where_it_is_placed(husky):
    husky.place("obstacle_3", (-1.0, 0.0, 0.0))
    for _ in range(100):
        command(husky, 0.0)
        husky.ports["wheels"].left_rad_s = husky.ports["wheels"].right_rad_s = 3.0
        husky.advance()
    assert husky.ports["contact"].touching
    assert husky.ports["pose"].position_m[0] < -1.7  # Husky's half length and that of the box


def test_a_vehicle_that_is_placed_stands_there_at_rest_and_its_eyes_see_from_there(husky):
    run(husky, 10)
    before = husky.ports["light_sensors"].left
    husky.place("husky", (1.0, 1.5, 0.0))
    pose, eyes = husky.ports["pose"], husky.ports["light_sensors"]
    assert pose.position_m.tolist() == [1.0, 1.5, 0.0] and eyes.left > 2 * before
    assert husky.ports["wheels"].speed_rad_s.tolist() == [0.0, 0.0]
    husky.ports["wheels"].left_rad_s = husky.ports["wheels"].right_rad_s = 0.0
    husky.advance()
    assert pose.position_m == pytest.approx([1.0, 1.5, 0.0], abs=2e-3)


@on(*LIMBS)
def test_a_limb_is_put_where_its_tip_is_wanted(body):
    part, place_m = target(body)
    run(body, 5)
    body.place(part, place_m)
    assert body.tip.position_m == pytest.approx(place_m, abs=1e-5)
    assert not body.joints.speed_rad_s.any() and body.loop_error() < 1e-9
    low, high = np.transpose([joint.limits_rad for joint in BODIES_LIMITS[body._name]])
    assert np.all((low <= body.joints.angle_rad) & (body.joints.angle_rad <= high))
    body.advance()
    assert body.tip.position_m == pytest.approx(place_m, abs=5e-3)


BODIES_LIMITS = {each.name: each.revolute_joints for each in (FORELIMB, ARM)}


@on("forelimb-pybullet-rigid")
def test_no_joint_moves_that_need_not(body):
    """What the joints do lies across all that they could do without moving the tip or opening the loop."""
    part, place_m = target(body)
    body.place(part, place_m)
    angle = body.joints.angle_rad
    held = np.vstack([body._leverage.position("tip", angle)[1], body._leverage.gap(angle)[1]])
    idle = np.linalg.svd(held)[2][np.linalg.matrix_rank(held, tol=1e-9) :]
    assert len(idle) == 1 and np.linalg.norm(angle) > 0.1
    assert np.linalg.norm(idle @ angle) < 1e-3 * np.linalg.norm(angle)


@on("forelimb-pybullet-rigid")
def test_joints_are_set_and_others_follow_where_a_loop_demands_it(body):
    body.set_joints({"joystick_world_joint": 0.1, "joystick_helper_joint": -0.05})
    angle = dict(zip(body.joints.names, body.joints.angle_rad, strict=True))
    assert (angle["joystick_world_joint"], angle["joystick_helper_joint"]) == (0.1, -0.05)
    assert abs(angle["humerus_radius"]) > 1e-3 and body.loop_error() < 1e-9
    body.reset()
    body.set_joints({"joystick_world_joint": 0.0})
    assert body.joints.angle_rad == pytest.approx(np.zeros(6), abs=1e-6)


@on("arm-mujoco-rigid")
def test_joints_that_are_not_named_stay_without_a_loop(body):
    run(body, 5)
    shoulder = body.joints.angle_rad[0]
    parse({"command": "set_joints", "angle_rad": {"elbow": 1.5}}).act(SimpleNamespace(body=body))
    assert body.joints.angle_rad.tolist() == [shoulder, 1.5]


REFUSED = [
    ("husky", lambda b: b.push("wing", (0, 0, 1), 4.0), "push: part = 'wing': allowed are husky, base_link, "),
    ("husky", lambda b: b.push("obstacle_1", (0, 0, 1), 4.0), "push: part = 'obstacle_1': allowed are husky, "),
    ("husky", lambda b: b.push("husky", (0, 0), 4.0), "force_n = (0, 0): must be three finite numbers"),
    ("husky", lambda b: b.push("husky", (0, 0, 1), 6.0), "duration_ms = 6: allowed are positive multiples of"),
    ("husky", lambda b: b.push("husky", (0, 0, 1), 0.0), "duration_ms = 0: allowed are positive multiples of"),
    ("husky", lambda b: b.push("husky", (0, 0, 1), 10**400), "duration_ms = 100000"),
    ("husky", lambda b: b.push("husky", (0, 0, 1), "4"), "duration_ms = '4': must be a finite number"),
    ("husky", lambda b: b.push("husky", (0, 0, 1), 4.0, (0, 0, np.nan)), "torque_nm = (0, 0, nan): must be three"),
    ("husky", lambda b: b.push(["husky"], (0, 0, 1), 4.0), "push: part = ['husky']: allowed are"),
    ("husky", lambda b: b.push("w" * 1000, (0, 0, 1), 4.0), "push: part = 'wwwwww"),
    ("husky", lambda b: b.push("husky", [[1], [1, 2]], 4.0), "force_n = [[1], [1, 2]]: must be three finite numbers"),
    ("husky", lambda b: b.hold("husky", None), "hold: husky is not held; held are none"),
    ("husky", lambda b: b.hold("light", (0, 0, 1)), "hold: part = 'light': allowed are husky, "),
    ("husky", lambda b: b.hold("husky", (0, 0, 1e9)), "position_m = (0, 0, 1000000000.0): allowed is up to 1e+06 m"),
    ("husky", lambda b: b.place("husky", (0, 7, 0)), "place: husky at [0.0, 7.0, 0.0] m is outside the room: x and y"),
    ("husky", lambda b: b.place("husky", (0, 0, -1)), "place: husky at [0.0, 0.0, -1.0] m is outside the room"),
    ("husky", lambda b: b.place("husky", (0, 0, 0), (1, 1, 0, 0)), "quaternion = (1, 1, 0, 0): has length 1.41"),
    ("husky", lambda b: b.place("husky", {"x": 1}), "position_m = {'x': 1}: must be three finite numbers"),
    ("husky", lambda b: b.place("base_link", (0, 0, 0)), "place: part = 'base_link': allowed are husky, obstacle_1, "),
    ("husky", lambda b: b.place("light", (0, 0, 1), (0, 0, 0, 1)), "quaternion = (0, 0, 0, 1): must be None"),
    ("husky", lambda b: b.set_joints({"rear_left_wheel": 1.0}), "set_joints: the joints of a vehicle are its wheels"),
    ("arm", lambda b: b.push("trunk", (0, 0, 1), 1.0), "push: part = 'trunk': allowed are tip, humerus, forearm"),
    ("arm", lambda b: b.place("trunk", (0, 0, 1)), "place: part = 'trunk': allowed are tip, humerus, forearm"),
    ("arm", lambda b: b.place("tip", (0, 0, 3)), "place: tip cannot be at [0, 0, 3] m: the nearest place found that "),
    ("arm", lambda b: b.place("tip", (0, 0, 1), (0, 0, 0, 1)), "quaternion = (0, 0, 0, 1): must be None, as a link"),
    ("arm", lambda b: b.set_joints({"knee": 1.0}), "set_joints: no joint is called 'knee', there are shoulder, elbow"),
    ("arm", lambda b: b.set_joints({"elbow": 3.0}), "angle of joint elbow = 3 rad: allowed is 0 to 2 rad"),
    ("arm", lambda b: b.set_joints({"elbow": None}), "angle of joint elbow = None: must be a finite number"),
    ("arm", lambda b: b.set_joints(1.0), "angle_rad = 1.0: must be angles by the names of joints"),
    (
        "forelimb",
        lambda b: b.set_joints({"world_humerus": 0.3, "humerus_helper_joint": -0.3, "humerus_radius": 1.0}),
        "the nearest angles found leave the loop foot_joystick open by ",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def held() -> Iterator[dict[str, tuple[Body, list[bytes]]]]:
    """Bodies that are in someone's hands, and what they do then."""
    names = {"husky": "husky", "arm": "arm-pybullet-elastic", "forelimb": "forelimb-pybullet-rigid"}
    bodies = {short: start(name) for short, name in names.items()}
    yield {short: (body, in_hands(body)) for short, body in bodies.items()}
    for body in bodies.values():
        body.close()


def in_hands(body: Body, meanwhile: Callable[[Body], None] = lambda body: None) -> list[bytes]:
    body.reset()
    body.push(body.parts[1], (0.0, 0.0, 0.5), 40.0)
    done = run(body, 1)
    meanwhile(body)
    return done + run(body, 2)


@pytest.mark.parametrize("name, call, said", REFUSED, ids=[said[:40] for _, _, said in REFUSED])
def test_what_makes_no_sense_is_refused_in_a_line_and_changes_nothing(held, name, call, said):
    body, expected = held[name]

    def refused(body: Body) -> None:
        with pytest.raises(ValueError) as error:
            call(body)
        message = str(error.value)
        assert said in message and "\n" not in message and len(message) < 300

    assert in_hands(body, refused) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["arm", "tip", "elbow"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("elbow"), inner, max_size=2),
    max_leaves=6,
)
VERBS = {"push": 3, "hold": 1, "place": 2, "set_joints": 1}  # and how much they need besides a part


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data(), verb=st.sampled_from([*VERBS]))
def test_whatever_is_sent_is_done_or_refused_in_a_line(held, data, verb):
    body, _ = held["arm"]
    part = [] if verb == "set_joints" else [data.draw(st.just("tip") | JSON)]
    refusal = ""
    try:
        getattr(body, verb)(*part, *(data.draw(JSON) for _ in range(VERBS[verb])))
    except ValueError as error:
        refusal = str(error)
    assert "\n" not in refusal and len(refusal) < 250


@pytest.mark.parametrize("call", [
    lambda body: body.push("tip", (0, 0, 1), 1.0), lambda body: body.hold("tip", None),
    lambda body: body.place("tip", (0, 0, 0)), lambda body: body.set_joints({}),
])  # fmt: skip
def test_without_a_body_there_is_nothing_to_touch(call):
    nobody = make_body(NoBody(), 1.0, COUPLING_MS)
    with pytest.raises(ValueError, match=r"^\w+: this experiment has no body$"):
        call(nobody)
    nobody.reset()
    assert nobody.parts == ()


@on("forelimb-pybullet-rigid", "forelimb-mujoco-rigid")
def test_a_force_that_tears_a_body_apart_ends_as_any_divergence(body):
    body.push("foot", (1e300, 0.0, 0.0), COUPLING_MS)
    with pytest.raises(FloatingPointError, match="diverged at"):
        body.advance()
    body.reset()
    body.advance()
