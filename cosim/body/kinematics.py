# SPDX-License-Identifier: GPL-2.0-or-later
"""Forward kinematics of a joint tree, muscle path lengths, and their moment arms.

Everything is kept in the model frame at rest: joint j is an axis through an anchor there, and a link's
displacement from rest is the product of the rotations about the axes above it (product of exponentials,
Brockett 1984). A point that lies at x at rest lies at R x + t in the pose.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from cosim.body.description import WORLD, Description


class Tree(NamedTuple):
    """The revolute joints in an order in which parents come first.

    ``order`` (n,) joint indices; ``parent`` (n,) joint above each joint, -1 for none; ``axis`` and ``anchor``
    (n, 3) at rest, in m.
    """

    order: np.ndarray
    parent: np.ndarray
    axis: np.ndarray
    anchor: np.ndarray


class Points(NamedTuple):
    """Points on links: the ``joint`` (n,) that carries each, -1 for none; ``position`` (n, 3) m at rest."""

    joint: np.ndarray
    position: np.ndarray


class Kinematics:
    """Positions, path lengths, speeds and moment arms of the body ``description`` (m, rad, s)."""

    def __init__(self, description: Description):
        self._description = description
        self._names = [joint.name for joint in description.revolute_joints]
        self.tree = self._make_tree()
        paths = [muscle.path for muscle in description.muscles]
        self.path_points = self.points([point for path in paths for point in path])
        # Muscle m runs through the path points path_start[m] to path_start[m + 1].
        self.path_start = np.cumsum([0] + [len(path) for path in paths])
        self._tip = self.points([description.tip])

    def points(self, points) -> Points:
        """Path, closure or tip points of the description in the form that `positions` takes."""
        joint = [self._carrier(point.link) for point in points]
        position = [self._description.link(point.link).in_model(point.point_m) for point in points]
        return Points(np.array(joint, dtype=np.int64), np.array(position).reshape(-1, 3))

    def positions(self, angle_rad, points: Points) -> np.ndarray:
        """Positions (n, 3) in m of ``points`` in the model frame at joint angles (n_joints,)."""
        placed = np.empty_like(points.position)
        place(points, *displacements(self.tree, angle_rad), placed)
        return placed

    def tip(self, angle_rad, position_m):
        """Write the position (3,) of the body's tip in the model frame into ``position_m``."""
        place(self._tip, *displacements(self.tree, angle_rad), position_m.reshape(1, 3))

    def link_pose(self, angle_rad, link: str) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (3, 3) and position (3,) in m of the frame of ``link`` in the model frame."""
        rest = self._description.link(link)
        joint = self._carrier(link)
        if joint < 0:
            return rest.rotation(), np.array(rest.position_m)
        rotation, shift = (part[joint] for part in displacements(self.tree, angle_rad))
        return rotation @ rest.rotation(), rotation @ rest.position_m + shift

    def measure(self, angle_rad, speed_rad_s, length_m, speed_m_s, moment_arm_m):
        """Write muscle path lengths, speeds (n_muscles,) and moment arms (n_muscles, n_joints) at a pose.

        Moment arm = - d length / d angle, so that joint torque = moment arm x tension (OpenSim's sign).
        """
        measure(self.tree, self.path_points, self.path_start,
                angle_rad, speed_rad_s, length_m, speed_m_s, moment_arm_m)

    def _carrier(self, link: str) -> int:
        """Index of the revolute joint that carries ``link``, -1 where it is fixed to the world."""
        while link != WORLD:
            joint = self._description.joint_above(link)
            if joint.type == "revolute":
                return self._names.index(joint.name)
            link = joint.parent
        return -1

    def _make_tree(self) -> Tree:
        joints = self._description.revolute_joints
        links = [self._description.link(joint.child) for joint in joints]
        parent = np.array([self._carrier(joint.parent) for joint in joints], dtype=np.int64)
        axis = np.array([link.rotation() @ joint.axis for link, joint in zip(links, joints)])
        anchor = np.array([link.in_model(joint.origin_m) for link, joint in zip(links, joints)])
        depth = [self._depth(i, parent) for i in range(len(joints))]
        return Tree(np.argsort(depth, kind="stable"), parent, axis, anchor)

    @staticmethod
    def _depth(joint: int, parent) -> int:
        return 0 if joint < 0 else 1 + Kinematics._depth(parent[joint], parent)


@njit(cache=True)
def displacements(tree, angle):
    """Rotations (n + 1, 3, 3) and shifts (n + 1, 3) of what each joint carries, from rest to the pose.

    The last row belongs to the world, joint -1, and stays at rest.
    """
    n = tree.parent.size
    rotation, shift = np.zeros((n + 1, 3, 3)), np.zeros((n + 1, 3))
    for i in range(3):
        rotation[n, i, i] = 1.0
    for j in tree.order:
        _displace(j, tree.parent[j], _about_axis(tree.axis[j], angle[j]), tree.anchor[j], rotation, shift)
    return rotation, shift


@njit(cache=True)
def _about_axis(axis, angle):
    """Rodrigues' formula: the matrix of a turn by ``angle`` about the unit vector ``axis``."""
    x, y, z = axis
    s, c = np.sin(angle), np.cos(angle)
    v = 1.0 - c
    return np.array([
        [c + v * x * x, v * x * y - s * z, v * x * z + s * y],
        [v * x * y + s * z, c + v * y * y, v * y * z - s * x],
        [v * x * z - s * y, v * y * z + s * x, c + v * z * z],
    ])


@njit(cache=True)
def _displace(j, parent, own, anchor, rotation, shift):
    """Write row ``j``: its ``own`` turn about ``anchor``, then what its parent does."""
    for i in range(3):
        shift[j, i] = shift[parent, i]
        for k in range(3):
            rotation[j, i, k] = 0.0
            for m in range(3):
                rotation[j, i, k] += rotation[parent, i, m] * own[m, k]
            shift[j, i] += (rotation[parent, i, k] - rotation[j, i, k]) * anchor[k]


@njit(cache=True)
def place(points, rotation, shift, placed):
    """Write where ``points`` are after the displacements into ``placed`` (n, 3)."""
    for n in range(points.joint.size):
        j = points.joint[n]
        for i in range(3):
            placed[n, i] = shift[j, i]
            for k in range(3):
                placed[n, i] += rotation[j, i, k] * points.position[n, k]


@njit(cache=True)
def measure(tree, points, start, angle, angle_speed, length, speed, arm):
    """Write lengths, speeds (n_muscles,) and moment arms (n_muscles, n_joints) of the paths at a pose."""
    rotation, shift = displacements(tree, angle)
    placed = np.empty((points.joint.size, 3))
    place(points, rotation, shift, placed)
    axis, anchor = _turned(tree, rotation, shift)
    for m in range(length.size):
        length[m], speed[m] = 0.0, 0.0
        for j in range(angle.size):
            arm[m, j] = 0.0
        for n in range(start[m], start[m + 1] - 1):
            length[m] += _stretch(tree.parent, axis, anchor, points.joint, placed, n, arm[m])
        for j in range(angle.size):
            speed[m] -= arm[m, j] * angle_speed[j]


@njit(cache=True)
def _turned(tree, rotation, shift):
    """Axes and anchors (n, 3) of the joints in the pose; a joint's own turn moves neither."""
    axis, anchor = np.zeros_like(tree.axis), np.zeros_like(tree.anchor)
    for j in range(tree.parent.size):
        for i in range(3):
            anchor[j, i] = shift[j, i]
            for k in range(3):
                axis[j, i] += rotation[j, i, k] * tree.axis[j, k]
                anchor[j, i] += rotation[j, i, k] * tree.anchor[j, k]
    return axis, anchor


@njit(cache=True)
def _stretch(parent, axis, anchor, joint, placed, n, arm):
    """Length of the segment from point ``n`` to the next; adds the torques of a unit tension to ``arm``."""
    a, b = placed[n], placed[n + 1]
    x, y, z = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    length = np.sqrt(x * x + y * y + z * z)
    _pull(parent, axis, anchor, joint[n], a, x / length, y / length, z / length, arm)
    _pull(parent, axis, anchor, joint[n + 1], b, -x / length, -y / length, -z / length, arm)
    return length


@njit(cache=True)
def _pull(parent, axis, anchor, joint, point, fx, fy, fz, arm):
    """Add to ``arm`` the torques of the force (fx, fy, fz) at ``point`` about ``joint`` and all above it."""
    j = joint
    while j >= 0:
        x, y, z = point[0] - anchor[j, 0], point[1] - anchor[j, 1], point[2] - anchor[j, 2]
        arm[j] += axis[j, 0] * (y * fz - z * fy)
        arm[j] += axis[j, 1] * (z * fx - x * fz)
        arm[j] += axis[j, 2] * (x * fy - y * fx)
        j = parent[j]
