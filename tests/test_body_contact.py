# SPDX-License-Identifier: GPL-2.0-or-later
"""Solid shapes of bodies touch each other, in both physics engines."""

from __future__ import annotations

import numpy as np
import pytest
from test_body_engine import STEP_S, rms

from cosim.body.musculoskeletal.description import MusculoskeletalDescription

PENDULUM_MASS_KG, BALL_RADIUS_M, LENGTH_M = 0.1, 0.02, 0.2


def pendulum(solid: bool) -> MusculoskeletalDescription:
    """A ball on an arm that falls on a fixed box, whose top is level with the hinge.

    So friction has no lever, and at rest the box carries the ball with its weight.
    """
    inertia = {"xx": 4e-5, "yy": 4e-5, "zz": 4e-5}
    ball = {"kind": "sphere", "centre_m": (LENGTH_M, 0, 0), "radius_m": BALL_RADIUS_M, "colour": "grey"}
    box = {"kind": "box", "centre_m": (0, 0, 0), "size_m": (0.3, 0.1, 0.04), "colour": "grey", "solid": True}
    return MusculoskeletalDescription(
        name="pendulum",
        gravity_m_s2=(0.0, 0.0, -9.81),
        tip={"link": "arm", "point_m": (LENGTH_M, 0, 0)},
        colours={"grey": (0.5, 0.5, 0.5)},
        links=[
            {
                "name": "arm",
                "position_m": (0, 0, 0),
                "mass_kg": PENDULUM_MASS_KG,
                "com_m": (LENGTH_M, 0, 0),
                "inertia_kg_m2": inertia,
                "shapes": [{**ball, "solid": solid}],
            },
            {
                "name": "box",
                "position_m": (LENGTH_M, 0, -0.02),
                "mass_kg": 1.0,
                "inertia_kg_m2": inertia,
                "shapes": [box],
            },
        ],
        joints=[
            {
                "name": "hinge",
                "type": "revolute",
                "parent": "world",
                "child": "arm",
                "axis": (0, 1, 0),
                "damping_N_m_s_rad": 1e-3,
            },
            {"name": "stand", "type": "fixed", "parent": "world", "child": "box"},
        ],
    )


def fall(engine, n_solid_links: int) -> tuple[np.ndarray, np.ndarray]:
    """Angles (n,) in rad and contact forces (n, n_solid_links) in N of the pendulum in 1 s."""
    engine.reset(np.array([-0.6]), np.zeros(1))
    angle, force = [], [engine.contact_force_N()]
    for _ in range(1000):
        engine.step(np.zeros(1), STEP_S)
        angle.append(engine.state()[0][0])
        force.append(engine.contact_force_N())
    assert np.shape(force) == (1001, n_solid_links)
    return np.array(angle), np.array(force[1:])


def test_a_solid_ball_lies_on_a_solid_box_with_its_weight(start_engine, engine_name):
    angle, force = fall(start_engine(engine_name, pendulum(solid=True)), 2)
    touching = -np.arcsin(BALL_RADIUS_M / LENGTH_M)
    early = angle < touching - 0.01
    assert early[:50].all() and (force[early] == 0.0).all()
    assert force.max() > 10.0 * PENDULUM_MASS_KG * 9.81  # the impact
    assert (force[:, 0] == force[:, 1]).all()
    assert force[-1] == pytest.approx(PENDULUM_MASS_KG * 9.81, rel=1e-3)
    assert angle[-1] == pytest.approx(touching, abs=2e-4)


def test_a_ball_that_is_not_solid_falls_through(start_engine, engine_name):
    angle, force = fall(start_engine(engine_name, pendulum(solid=False)), 1)
    assert angle.max() > 1.0
    assert (force == 0.0).all()


def test_parents_do_not_touch_their_children_nor_parts_of_one_piece_each_other(start_engine, engine_name):
    free = pendulum(solid=True)
    arm, box = free.links
    hinge, stand = free.joints
    on_the_box = free.model_copy(update={"joints": (stand, hinge.model_copy(update={"parent": "box"}))})
    foot = box.model_copy(update={"name": "foot"})  # in the place of the box
    on_its_foot = free.model_copy(
        update={
            "links": (arm, box, foot),
            "joints": (stand, stand.model_copy(update={"name": "sole", "parent": "box", "child": "foot"}), hinge),
        }
    )
    assert fall(start_engine(engine_name, on_the_box), 2)[1].max() == 0.0
    ball_N, *others_N = fall(start_engine(engine_name, on_its_foot), 3)[1].T
    assert ball_N[:50].max() == max(force[:50].max() for force in others_N) == 0.0
    assert ball_N[-1] == pytest.approx(PENDULUM_MASS_KG * 9.81, rel=1e-3)
    assert sum(others_N)[-1] == pytest.approx(ball_N[-1])


def tree(touching: str) -> MusculoskeletalDescription:
    """Turned frames, a link fixed to another in the middle, children before parents, above a fixed box.

    Only the link ``touching`` and the box are solid.
    """
    rod = {"kind": "rod", "ends_m": [(0.01, 0.02, -0.03), (0.1, -0.03, 0.05)], "radius_m": 0.008}
    box = {"kind": "box", "centre_m": (0.02, 0.01, 0), "size_m": (0.03, 0.02, 0.05)}
    floor = {"kind": "box", "centre_m": (0, 0, 0), "size_m": (1, 1, 0.1)}
    places = {
        "tip": ((0.15, 0.1, -0.05), (0.4, 1.2, -2.0), rod),
        "middle": ((0.1, 0.05, -0.02), (-1.0, 0.3, 0.2), box),
        "root": ((0.02, 0, 0), (0.1, 0.2, 0.3), None),
        "stand": ((0, 0, 0.05), (0.5, 0.2, 0.3), None),
        "floor": ((0.05, 0, -0.15), (0, 0, 0), floor),
    }
    is_solid = {touching, "floor"}
    hinge = {"type": "revolute", "damping_N_m_s_rad": 2e-3}
    return MusculoskeletalDescription(
        name="tree",
        gravity_m_s2=(0.5, -1.0, -9.81),
        tip={"link": "tip", "point_m": (0, 0, 0)},
        colours={"grey": (0.5, 0.5, 0.5)},
        links=[
            lopsided(link, position, turned, [shape] if link in is_solid else [])
            for link, (position, turned, shape) in places.items()
        ],
        joints=[
            joint("outer", "middle", "tip", **hinge, axis=(0.6, 0, 0.8), origin_m=(-0.02, 0.01, 0)),
            joint("glue", "root", "middle"),
            joint("inner", "stand", "root", **hinge, axis=(0, -0.8, 0.6), origin_m=(0, 0.01, 0.02)),
            joint("foot", "world", "stand"),
            joint("ground", "world", "floor"),
        ],
    )


def lopsided(name: str, position_m: tuple, rpy_rad: tuple, solid_shapes: list[dict]) -> dict:
    """A link of 100 g with its mass beside its origin and no axis of symmetry."""
    return {
        "name": name,
        "position_m": position_m,
        "rpy_rad": rpy_rad,
        "mass_kg": 0.1,
        "inertia_kg_m2": {"xx": 2e-4, "yy": 3e-4, "zz": 4e-4, "xy": 2e-5, "xz": -3e-5, "yz": 1e-5},
        "com_m": (0.03, -0.02, 0.01),
        "com_rpy_rad": (0.3, -0.5, 0.7),
        "shapes": [{**shape, "colour": "grey", "solid": True} for shape in solid_shapes],
    }


def joint(name: str, parent: str, child: str, **more: object) -> dict:
    """A fixed joint, or what ``more`` says."""
    return {"type": "fixed", "name": name, "parent": parent, "child": child} | more


@pytest.mark.parametrize("touching", ["tip", "middle"])
def test_both_engines_place_and_move_any_tree_alike(start_engine, touching):
    pytest.importorskip("mujoco")
    ways = []
    for name in ("pybullet", "mujoco"):
        engine, way = start_engine(name, tree(touching)), []
        engine.reset(np.array([-0.5, 0.6]), np.zeros(2))
        while not engine.contact_force_N().any() and len(way) < 5000:
            engine.step(np.zeros(2), 1e-4)
            way.append(engine.state()[0])
        ways.append(np.array(way))
    steps = [len(way) for way in ways]
    assert 500 < min(steps) < 5000 and abs(steps[0] - steps[1]) <= 3, "steps until the first contact"
    common = min(steps) - 1
    assert np.ptp(ways[0][:common], axis=0).min() > 0.05  # rad: it moved
    assert rms(ways[0][:common] - ways[1][:common]) < 5e-4
