# SPDX-License-Identifier: GPL-2.0-or-later
"""Forward kinematics of a joint tree, muscle path lengths, and their moment arms.

Everything is kept in the model frame at rest: joint j is an axis through an anchor there, and a link's
displacement from rest is the product of the rotations about the axes above it (product of exponentials,
Brockett 1984). A point that lies at x at rest lies at R x + t in the pose.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from cosim.body.musculoskeletal.description import WORLD, MusculoskeletalDescription


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


class Pose(NamedTuple):
    """Where the joints are: made once and written in place.

    ``rotation`` (n + 1, 3, 3) and ``shift`` (n + 1, 3) are the displacements from rest of what each joint
    carries; the last row belongs to the world, joint -1, and stays at rest. ``axis`` and ``anchor`` (n, 3) are
    those of the joints in the pose, ``turn`` (3, 3) is for the work on the way.
    """

    rotation: np.ndarray
    shift: np.ndarray
    axis: np.ndarray
    anchor: np.ndarray
    turn: np.ndarray


class Kinematics:
    """Positions, path lengths, speeds and moment arms of the body ``description`` (m, rad, s)."""

    def __init__(self, description: MusculoskeletalDescription):
        self._description = description
        self._names = [joint.name for joint in description.revolute_joints]
        self.tree = self._make_tree()
        paths = [muscle.path for muscle in description.muscles]
        self.path_points = self.points([point for path in paths for point in path])
        # Muscle m runs through the path points path_start[m] to path_start[m + 1].
        self.path_start = np.cumsum([0] + [len(path) for path in paths])
        self._tip = self.points([description.tip])
        self._pose = self._rest_pose()
        self._placed = np.empty_like(self.path_points.position)

    def points(self, points) -> Points:
        """Path, closure or tip points of the description in the form that `positions` takes."""
        joint = [self._carrier(point.link) for point in points]
        position = [self._description.link(point.link).in_model(point.point_m) for point in points]
        return Points(np.array(joint, dtype=np.int64), np.array(position).reshape(-1, 3))

    def positions(self, angle_rad, points: Points) -> np.ndarray:
        """Positions (n, 3) in m of ``points`` in the model frame at joint angles (n_joints,)."""
        placed = np.empty_like(points.position)
        place(points, self.pose(angle_rad), placed)
        return placed

    def pose(self, angle_rad) -> Pose:
        """Where the joints are at angles (n_joints,); valid until the next call of any method."""
        move(self.tree, np.asarray(angle_rad, dtype=float), self._pose)
        return self._pose

    def link_pose(self, angle_rad, link: str) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (3, 3) and position (3,) in m of the frame of ``link`` in the model frame."""
        rest, joint = self._description.link(link), self._carrier(link)
        pose = self.pose(angle_rad)
        rotation = pose.rotation[joint]
        return rotation @ rest.rotation(), rotation @ rest.position_m + pose.shift[joint]

    def measure(self, angle_rad, speed_rad_s, length_m, speed_m_s, moment_arm_m, tip_m):
        """Write muscle path lengths, speeds (n_muscles,), moment arms (n_muscles, n_joints) and the tip (3,).

        Moment arm = - d length / d angle, so that joint torque = moment arm x tension (OpenSim's sign).
        """
        move(self.tree, angle_rad, self._pose)
        place(self._tip, self._pose, tip_m.reshape(1, 3))
        measure(
            self.tree,
            self.path_points,
            self.path_start,
            self._pose,
            self._placed,
            speed_rad_s,
            length_m,
            speed_m_s,
            moment_arm_m,
        )

    def _rest_pose(self) -> Pose:
        n = len(self._names)
        rotation, shift = np.tile(np.eye(3), (n + 1, 1, 1)), np.zeros((n + 1, 3))
        return Pose(rotation, shift, self.tree.axis.copy(), self.tree.anchor.copy(), np.eye(3))

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
        axis = np.array([link.rotation() @ joint.axis for link, joint in zip(links, joints, strict=True)])
        anchor = np.array([link.in_model(joint.origin_m) for link, joint in zip(links, joints, strict=True)])
        depth = [self._depth(i, parent) for i in range(len(joints))]
        return Tree(np.argsort(depth, kind="stable"), parent, axis, anchor)

    @staticmethod
    def _depth(joint: int, parent) -> int:
        return 0 if joint < 0 else 1 + Kinematics._depth(parent[joint], parent)


@njit(cache=True)
def move(tree, angle, pose):
    """Write the ``pose`` at joint angles (n,)."""
    for i in range(tree.order.size):
        j = tree.order[i]
        _turn(tree.axis[j], angle[j], pose.turn)
        _displace(j, tree.parent[j], tree.axis[j], tree.anchor[j], pose)


@njit(cache=True)
def _turn(axis, angle, turn):
    """Rodrigues' formula: the matrix of a turn by ``angle`` about the unit vector ``axis``."""
    x, y, z = axis[0], axis[1], axis[2]
    s, c = np.sin(angle), np.cos(angle)
    v = 1.0 - c
    turn[0, 0], turn[0, 1], turn[0, 2] = c + v * x * x, v * x * y - s * z, v * x * z + s * y
    turn[1, 0], turn[1, 1], turn[1, 2] = v * x * y + s * z, c + v * y * y, v * y * z - s * x
    turn[2, 0], turn[2, 1], turn[2, 2] = v * x * z - s * y, v * y * z + s * x, c + v * z * z


@njit(cache=True)
def _displace(j, parent, axis, anchor, pose):
    """Write what belongs to joint ``j``: its own turn about ``anchor``, then what its parent does."""
    rotation, shift = pose.rotation, pose.shift
    for i in range(3):
        shift[j, i], pose.axis[j, i], pose.anchor[j, i] = shift[parent, i], 0.0, shift[parent, i]
        for k in range(3):
            rotation[j, i, k] = 0.0
            for m in range(3):
                rotation[j, i, k] += rotation[parent, i, m] * pose.turn[m, k]
            shift[j, i] += (rotation[parent, i, k] - rotation[j, i, k]) * anchor[k]
            # The joint's own turn moves neither its axis nor its anchor.
            pose.axis[j, i] += rotation[parent, i, k] * axis[k]
            pose.anchor[j, i] += rotation[parent, i, k] * anchor[k]


@njit(cache=True)
def place(points, pose, placed):
    """Write where ``points`` are in the ``pose`` into ``placed`` (n, 3)."""
    for n in range(points.joint.size):
        j = points.joint[n]
        for i in range(3):
            placed[n, i] = pose.shift[j, i]
            for k in range(3):
                placed[n, i] += pose.rotation[j, i, k] * points.position[n, k]


@njit(cache=True)
def measure(tree, points, start, pose, placed, angle_speed, length, speed, arm):
    """Write lengths, speeds (n_muscles,) and moment arms (n_muscles, n_joints) of the paths in the ``pose``."""
    place(points, pose, placed)
    for m in range(length.size):
        length[m], speed[m] = 0.0, 0.0
        for j in range(angle_speed.size):
            arm[m, j] = 0.0
        for n in range(start[m], start[m + 1] - 1):
            length[m] += _stretch(tree.parent, pose, points.joint, placed, n, arm[m])
        for j in range(angle_speed.size):
            speed[m] -= arm[m, j] * angle_speed[j]


@njit(cache=True)
def _stretch(parent, pose, joint, placed, n, arm):
    """Length of the segment from point ``n`` to the next; adds the torques of a unit tension to ``arm``."""
    a, b = placed[n], placed[n + 1]
    x, y, z = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    length = np.sqrt(x * x + y * y + z * z)
    _pull(parent, pose, joint[n], a, x / length, y / length, z / length, arm)
    _pull(parent, pose, joint[n + 1], b, -x / length, -y / length, -z / length, arm)
    return length


@njit(cache=True)
def _pull(parent, pose, joint, point, fx, fy, fz, arm):
    """Add to ``arm`` the torques of the force (fx, fy, fz) at ``point`` about ``joint`` and all above it."""
    axis, anchor = pose.axis, pose.anchor
    j = joint
    while j >= 0:
        x, y, z = point[0] - anchor[j, 0], point[1] - anchor[j, 1], point[2] - anchor[j, 2]
        arm[j] += axis[j, 0] * (y * fz - z * fy)
        arm[j] += axis[j, 1] * (z * fx - x * fz)
        arm[j] += axis[j, 2] * (x * fy - y * fx)
        j = parent[j]
