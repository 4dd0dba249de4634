# SPDX-License-Identifier: GPL-2.0-or-later
"""The arm is like its source and can hold its posture; the experiment moves its hand, run as users run it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import REPOSITORY
from scipy.optimize import lsq_linear

from cosim.body.kinds import load, make_body
from cosim.body.musculoskeletal.kinematics import Kinematics
from cosim.results.run_data import RunData

pytestmark = pytest.mark.usefixtures("with_figures")

ARM = REPOSITORY / "models/arm/body.toml"
EXPERIMENT = REPOSITORY / "models/arm_reach"

# Moment arms in cm of Arm26 with both axes at right angles to the plane, by OpenSim 4.6: at the elbow with
# the shoulder at 0, and at the shoulder with the elbow at 60 degrees.
ELBOW_DEG = (0, 30, 60, 90, 110)
ARM26_ELBOW_CM = {
    "TRIlong": (-2.03, -2.41, -2.12, -2.00, -1.99),
    "TRIlat": (-2.03, -2.41, -2.12, -2.00, -1.99),
    "TRImed": (-2.03, -2.41, -2.12, -2.00, -1.99),
    "BIClong": (1.02, 2.70, 4.06, 4.81, 4.71),
    "BICshort": (1.02, 2.70, 4.06, 4.81, 4.71),
    "BRA": (1.54, 1.32, 1.68, 2.28, 2.41),
}
SHOULDER_DEG = (-20, 0, 20)
ARM26_SHOULDER_CM = {"TRIlong": (-3.20, -3.61, -3.54), "BIClong": (2.08, 2.07, 1.92)}


@pytest.fixture(scope="module")
def arm():
    return load(ARM)


@pytest.fixture(scope="module")
def measured(arm):
    """Path lengths (6,) in m and moment arms (6, 2) in m at angles in degrees."""
    kinematics = Kinematics(arm)

    def at(shoulder_deg, elbow_deg):
        length, speed, moment_arm, tip = np.empty(6), np.empty(6), np.empty((6, 2)), np.empty(3)
        kinematics.measure(np.radians([shoulder_deg, elbow_deg]), np.zeros(2), length, speed, moment_arm, tip)
        return length, moment_arm

    return at


def postures(arm):
    """Angles in degrees from limit to limit of both joints."""
    shoulder, elbow = (np.degrees(np.linspace(*joint.limits_rad, 9)) for joint in arm.revolute_joints)
    return [(a, b) for a in shoulder for b in elbow]


def test_moment_arms_follow_those_of_the_source(arm, measured):
    names = [muscle.name for muscle in arm.muscles]
    for name, expected in ARM26_ELBOW_CM.items():
        ours = [100 * measured(0, elbow)[1][names.index(name), 1] for elbow in ELBOW_DEG]
        assert ours == pytest.approx(expected, abs=0.9), name
    for name, expected in ARM26_SHOULDER_CM.items():
        ours = [100 * measured(shoulder, 60)[1][names.index(name), 0] for shoulder in SHOULDER_DEG]
        assert ours == pytest.approx(expected, abs=0.9), name


def test_muscles_keep_their_side_of_the_joints_within_the_limits(arm, measured):
    # TRIlong, TRIlat, TRImed, BIClong, BICshort, BRA; shoulder and elbow.
    low = [[-0.045, -0.030], [0.0, -0.030], [0.0, -0.030], [0.008, 0.008], [0.008, 0.008], [0.0, 0.006]]
    high = [[-0.010, -0.008], [0.0, -0.008], [0.0, -0.008], [0.028, 0.050], [0.028, 0.050], [0.0, 0.025]]
    for posture in postures(arm):
        moment_arm = measured(*posture)[1]
        assert (moment_arm > np.array(low) - 1e-9).all(), (posture, moment_arm)
        assert (moment_arm < np.array(high) + 1e-9).all(), (posture, moment_arm)


def test_fibres_stay_where_they_can_pull_within_the_limits(arm, measured):
    tendon, optimal = np.array([(m.tendon_slack_length_m, m.optimal_fiber_length_m) for m in arm.muscles]).T
    height = np.sin([muscle.pennation_rad for muscle in arm.muscles])
    for posture in postures(arm):
        along = (measured(*posture)[0] - tendon) / optimal
        assert (along > 0.0).all(), posture
        fiber = np.hypot(along, height)
        assert (fiber > 0.44).all() and (fiber < 1.7).all(), (posture, fiber)  # 0.4441: no active force below


@pytest.mark.parametrize("shoulder_deg, elbow_deg", [(0, 50), (20, 20), (40, 40)])
def test_muscles_that_balance_gravity_hold_the_arm(arm, measured, shoulder_deg, elbow_deg):
    angle = np.radians([shoulder_deg, elbow_deg])
    body = make_body(arm, physics_step_ms=1.0, coupling_step_ms=10.0, driven="activation")
    try:
        body.reset(angle, activation=1.0)
        strongest = body.muscles.force_N.copy()
        body.reset(angle, activation=0.01)
        weakest = body.muscles.force_N.copy()
        moment_arm = measured(shoulder_deg, elbow_deg)[1]
        balance = lsq_linear(
            moment_arm.T * (strongest - weakest), -gravity_N_m(arm, angle) - weakest @ moment_arm, (0.0, 1.0)
        )
        assert balance.cost < 1e-12
        body.reset(angle, activation=0.01 + 0.99 * balance.x)
        for _ in range(30):
            body.muscles.excitation = 0.01 + 0.99 * balance.x
            body.advance()
        assert np.degrees(body.joints.angle_rad) == pytest.approx([shoulder_deg, elbow_deg], abs=1.0)
        for _ in range(30):
            body.muscles.excitation = 0.0
            body.advance()
        assert np.abs(np.degrees(body.joints.angle_rad) - [shoulder_deg, elbow_deg]).max() > 10.0  # it falls
    finally:
        body.close()


def gravity_N_m(arm, angle):
    """Torques of gravity (2,): how fast potential energy falls with each angle."""
    kinematics = Kinematics(arm)

    def energy(angle):
        moving = [arm.link(joint.child) for joint in arm.revolute_joints]
        poses = [kinematics.link_pose(angle, link.name) for link in moving]
        return sum(
            -link.mass_kg * np.dot(arm.gravity_m_s2, rotation @ link.com_m + position)
            for link, (rotation, position) in zip(moving, poses)
        )

    h = 1e-5
    return np.array([(energy(angle - h * unit) - energy(angle + h * unit)) / (2 * h) for unit in np.eye(2)])


@pytest.fixture
def run(launch, tmp_path):
    """Run the experiment and return its data, its summary and what it told."""

    def start(name: str, *settings: str) -> tuple[RunData, dict, str]:
        options = [part for setting in settings for part in ("--set", setting)]
        result = launch(2, "run.py", EXPERIMENT, "--out", tmp_path / name, *options)
        assert result.returncode == 0, result.stderr
        data = RunData(tmp_path / name)
        return data, json.loads(data.folder.summary_file.read_text()), result.stdout + result.stderr

    return start


@pytest.mark.wheel
def test_the_hand_moves_to_another_posture_and_holds(run):
    data, summary, told = run("reach")
    forward_m, _, up_m = np.subtract(summary["hand_at_end_m"], summary["hand_before_m"])
    assert forward_m > 0.2 and up_m > 0.15
    assert summary["hand_strayed_m"] < 0.04
    assert "the hand moved +0." in told
    early = data.body["time_ms"] < 1500.0
    low, high = np.degrees(data.body["joint_angle_rad"][early][-500:, 1][[0, -1]])
    assert 10.0 < low < 35.0 and 10.0 < high < 35.0  # told 20 degrees, it waits there
    made = {path.name for path in data.folder.path.iterdir()}
    assert {"figure.png", "body.png"} <= made


@pytest.mark.wheel
def test_the_hand_goes_where_the_posture_says(run):
    _, bent, _ = run("bent", "protocol.then_deg=[0,90]", "clock.steps=560")
    forward_m, _, up_m = np.subtract(bent["hand_at_end_m"], bent["hand_before_m"])
    assert forward_m < 0.2 < up_m
    _, same, _ = run("same", "protocol.then_deg=[0,20]", "clock.steps=440")
    assert same["hand_moved_m"] < 0.06
