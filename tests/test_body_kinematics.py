# SPDX-License-Identifier: GPL-2.0-or-later
"""Joint and muscle path kinematics against OpenSim, and against themselves by finite differences."""

from pathlib import Path

import numpy as np
import pytest

from cosim.body.kinds import load
from cosim.body.musculoskeletal.kinematics import Kinematics
from cosim.body.rotation import matrix_from_rpy, rpy_from_matrix

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def reference():
    return np.load(ROOT / "tests/data/opensim_reference.npz")


@pytest.fixture(scope="module")
def description():
    return load(ROOT / "models/forelimb/body.toml")


def measured(kinematics, angle, speed):
    length, lengthening, arm = np.empty(8), np.empty(8), np.empty((8, 6))
    kinematics.measure(angle, speed, length, lengthening, arm, np.empty(3))
    return length, lengthening, arm


def test_paths_and_moment_arms_are_those_of_opensim(reference, description):
    kinematics = Kinematics(description)
    assert [joint.name for joint in description.revolute_joints[:4]] == reference["kin_joint_names"].tolist()
    for i, (q, qd) in enumerate(zip(reference["kin_q_rad"], reference["kin_qdot_rad_s"])):
        length, speed, arm = measured(kinematics, np.append(q, [0, 0]), np.append(qd, [0, 0]))
        np.testing.assert_allclose(length, reference["kin_path_length_m"][i], rtol=0, atol=1e-9)
        np.testing.assert_allclose(speed, reference["kin_path_speed_m_s"][i], rtol=0, atol=1e-9)
        np.testing.assert_allclose(arm[:, :4], reference["kin_moment_arm_m"][i], rtol=0, atol=1e-9)
        assert (arm[:, 4:] == 0.0).all()  # no muscle crosses the joints of the joystick


def test_the_foot_is_where_opensim_has_it(reference, description):
    kinematics = Kinematics(description)
    foot = kinematics.points([description.closures[0].a])
    for q, expected in zip(reference["kin_q_rad"], reference["kin_foot_tip_in_model_m"]):
        position = kinematics.positions(np.append(q, [0, 0]), foot)[0]
        np.testing.assert_allclose(position, expected, rtol=0, atol=1e-9)


def test_closed_loop_poses_of_opensim_close_here(reference, description):
    """Checks the joystick's side: the stick must reach the foot in every closed pose of the reference."""
    kinematics = Kinematics(description)
    stick, foot = (kinematics.points([point]) for point in (description.tip, description.closures[0].a))
    for q in reference["fd_limit_protocol_q"]:
        assert np.linalg.norm(kinematics.positions(q, stick) - kinematics.positions(q, foot)) < 2e-8


def test_positive_joystick_helper_angle_moves_the_tip_backwards(description):
    kinematics = Kinematics(description)
    tip = kinematics.positions(np.array([0, 0, 0, 0, 0, 0.1]), kinematics.points([description.tip]))[0]
    assert tip[1] > description.link("joystick").position_m[1] + 1e-3


def test_link_poses_agree_with_points(description):
    kinematics, angle = Kinematics(description), np.array([0.1, -0.2, 0.5, 0.1, 0.2, -0.1])
    for point in (description.tip, description.closures[0].a, description.muscles[0].path[0]):
        rotation, position = kinematics.link_pose(angle, point.link)
        expected = kinematics.positions(angle, kinematics.points([point]))[0]
        np.testing.assert_allclose(rotation @ point.point_m + position, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    "rpy", [(0.3, -0.4, 2.0), (1.0, np.pi / 2, 0.5), (-3.0, -np.pi / 2, 1.0), (0.7, np.pi / 2 - 3e-9, -2.0)]
)
def test_roll_pitch_yaw_survives_the_way_through_a_matrix(rpy):
    matrix = matrix_from_rpy(rpy)
    np.testing.assert_allclose(matrix_from_rpy(rpy_from_matrix(matrix)), matrix, rtol=0, atol=1e-15)
