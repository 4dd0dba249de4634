# SPDX-License-Identifier: GPL-2.0-or-later
"""Rotation matrices and roll, pitch and yaw as in SDF and URDF: R = Rz(yaw) Ry(pitch) Rx(roll)."""

import numpy as np


def matrix_from_rpy(rpy_rad) -> np.ndarray:
    """Rotation matrix (3, 3) of ``rpy_rad`` (3,)."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy_rad), np.sin(rpy_rad)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def rpy_from_matrix(rotation) -> np.ndarray:
    """Roll, pitch and yaw (3,) in rad of ``rotation`` (3, 3), exact also where the pitch is near +-90 degrees.

    There roll and yaw turn about almost the same axis: the yaw is taken as it comes, and the roll is what is left
    of ``rotation`` behind it.
    """
    yaw = np.arctan2(rotation[1, 0], rotation[0, 0])
    pitch = np.arctan2(-rotation[2, 0], np.hypot(rotation[0, 0], rotation[1, 0]))
    s, c = np.sin(yaw), np.cos(yaw)
    roll = np.arctan2(s * rotation[0, 2] - c * rotation[1, 2], c * rotation[1, 1] - s * rotation[0, 1])
    return np.array([roll, pitch, yaw])
