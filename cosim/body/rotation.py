# SPDX-License-Identifier: GPL-2.0-or-later
"""Rotation matrices and roll, pitch and yaw as in SDF and URDF: R = Rz(yaw) Ry(pitch) Rx(roll)."""

import numpy as np


def matrix_from_rpy(rpy_rad) -> np.ndarray:
    """Rotation matrix (3, 3) of ``rpy_rad`` (3,)."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy_rad), np.sin(rpy_rad)
    return np.array([
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ])


def rpy_from_matrix(rotation) -> np.ndarray:
    """Roll, pitch and yaw (3,) in rad of ``rotation`` (3, 3); at a pitch of +-90 degrees the roll is zero."""
    cos_pitch = np.hypot(rotation[0, 0], rotation[1, 0])
    pitch = np.arctan2(-rotation[2, 0], cos_pitch)
    if cos_pitch < 1e-12:
        return np.array([0.0, pitch, np.arctan2(-rotation[0, 1], rotation[1, 1])])
    roll = np.arctan2(rotation[2, 1], rotation[2, 2])
    return np.array([roll, pitch, np.arctan2(rotation[1, 0], rotation[0, 0])])
