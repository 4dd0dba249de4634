# SPDX-License-Identifier: GPL-2.0-or-later
"""A physics engine is one file and one line: here a third one that knows pendulums moves a body through cosim."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cosim.body.engines import registry
from cosim.body.kinds import make_body
from cosim.body.musculoskeletal.description import MusculoskeletalDescription
from cosim.cli import _parser
from cosim.errors import ConfigurationError
from cosim.experiment.config import load as load_experiment
from cosim.tools.doctor import engine_check

LENGTH_M, MASS_KG, TORQUE_N_M, DAMPING = 0.2, 0.1, 0.05, 1e-3
OWN_INERTIA = 4e-5  # kg m^2
INERTIA = OWN_INERTIA + MASS_KG * LENGTH_M**2
PENDULUM = MusculoskeletalDescription(
    name="pendulum",
    gravity_m_s2=(0.0, 0.0, -9.81),
    tip={"link": "arm", "point_m": (LENGTH_M, 0, 0)},
    links=[
        {
            "name": "arm",
            "position_m": (0, 0, 0),
            "mass_kg": MASS_KG,
            "com_m": (LENGTH_M, 0, 0),
            "inertia_kg_m2": {"xx": OWN_INERTIA, "yy": OWN_INERTIA, "zz": OWN_INERTIA},
        }
    ],
    joints=[
        {
            "name": "hinge",
            "type": "revolute",
            "parent": "world",
            "child": "arm",
            "axis": (0, 1, 0),
            "damping_N_m_s_rad": DAMPING,
        }
    ],
    efforts=[{"joint": "hinge", "torque_N_m": TORQUE_N_M}],
)


class PendulumEngine:
    """An `Engine` for one hinge along y that carries one link: classical Runge-Kutta steps of its equation."""

    def __init__(self, description: MusculoskeletalDescription) -> None:
        (self._link,), (self._joint,) = description.links, description.revolute_joints
        self._fall_m_s2 = -description.gravity_m_s2[2]
        self.reset(np.zeros(1), np.zeros(1))

    def reset(self, angle_rad: np.ndarray, speed_rad_s: np.ndarray) -> None:
        self._now = np.array([angle_rad[0], speed_rad_s[0]])

    def state(self) -> tuple[np.ndarray, np.ndarray]:
        return self._now[:1].copy(), self._now[1:].copy()

    def step(self, torque_N_m: np.ndarray, step_s: float) -> None:
        first = self._rate(self._now, torque_N_m)
        second = self._rate(self._now + 0.5 * step_s * first, torque_N_m)
        third = self._rate(self._now + 0.5 * step_s * second, torque_N_m)
        fourth = self._rate(self._now + step_s * third, torque_N_m)
        self._now = self._now + step_s * (first + 2 * second + 2 * third + fourth) / 6

    def _rate(self, state: np.ndarray, torque_N_m: np.ndarray) -> np.ndarray:
        angle, speed = state
        weight_N_m = self._link.mass_kg * self._fall_m_s2 * self._link.com_m[0] * np.cos(angle)
        return np.array([speed, (torque_N_m[0] + weight_N_m - self._joint.damping_N_m_s_rad * speed) / INERTIA])

    def loop_error(self) -> float:
        return 0.0

    def contact_force_N(self) -> np.ndarray:
        return np.zeros(0)

    def bare_step(self, step_s: float) -> Callable[[], object]:
        return lambda: self.step(np.zeros(1), step_s)

    def close(self) -> None:
        pass


@pytest.fixture
def registered(monkeypatch) -> None:
    """The one line."""
    entry = registry.EngineEntry("Pendulum", f"{__name__}:PendulumEngine", package="numpy")
    monkeypatch.setitem(registry.ENGINES, "pendulum", entry)


def movement(engine: str) -> np.ndarray:
    """Angle in rad and place of the tip in m, (500, 4), in half a second of physics steps of 1 ms."""
    body = make_body(PENDULUM, physics_step_ms=1.0, coupling_step_ms=500.0, engine=engine)
    body.advance()
    body.close()
    return np.hstack([body.series["joint_angle_rad"], body.series["tip_position_m"]])


@pytest.mark.usefixtures("registered")
def test_it_moves_a_body_as_the_others_do():
    ours, theirs = movement("pendulum"), movement("pybullet")
    assert np.ptp(ours[:, 0]) > 1.0  # it swings
    assert (ours != theirs).any()  # not the same engine twice
    np.testing.assert_allclose(ours, theirs, atol=5e-4)  # PyBullet is as much off
    np.testing.assert_allclose(ours[:, 3], -LENGTH_M * np.sin(ours[:, 0]), atol=1e-12)


@pytest.mark.usefixtures("registered")
def test_an_experiment_and_the_commands_may_name_it():
    experiment = load_experiment("arm_reach", ["body.engine=pendulum"])
    assert experiment.body_settings["engine"] == "pendulum"
    assert 'engine = "pendulum"' in experiment.config.to_toml()
    for command in (["validate", "arm", "reference.npz"], ["bench", "body"]):
        assert _parser().parse_args([*command, "--engine", "pendulum"]).engine == "pendulum"
    assert engine_check("pendulum").name == "Pendulum"


def test_without_that_line_it_is_unknown():
    with pytest.raises(ConfigurationError, match="body.engine = 'pendulum': must be 'pybullet' or 'mujoco'$"):
        load_experiment("arm_reach", ["body.engine=pendulum"])
    with pytest.raises(SystemExit):
        _parser().parse_args(["validate", "arm", "reference.npz", "--engine", "pendulum"])


def test_an_engine_that_is_not_installed_is_refused_with_what_to_do(monkeypatch):
    entry = registry.EngineEntry("Absent", "nowhere:Nothing", package="no_such_package", extra="absent")
    monkeypatch.setitem(registry.ENGINES, "absent", entry)
    with pytest.raises(ConfigurationError, match=r"absent is not installed here: pip install 'cosim\[absent\]'"):
        load_experiment("arm_reach", ["body.engine=absent"])
