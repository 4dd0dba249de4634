# SPDX-License-Identifier: GPL-2.0-or-later
"""How forces on the links of a body with muscles become joint torques, and how its points give way to them.

Textbook rigid-body mechanics (Featherstone 2008, Rigid Body Dynamics Algorithms) in joint space, for any physics
engine. It is for hands on a body, which are rare: it needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cosim.body.musculoskeletal.description import MusculoskeletalDescription
from cosim.body.musculoskeletal.description import Point as BodyPoint
from cosim.body.musculoskeletal.kinematics import Kinematics, Points, Pose, place
from cosim.body.rotation import matrix_from_rpy
from cosim.body.touch import HeldPoint, Touch

# A hand moves a part no faster than the joint that is farthest away would at this speed.
TOP_SPEED_RAD_S = 2.0
# Of x, y, z the next one each, and the one before.
NEXT, LAST = [1, 2, 0], [2, 0, 1]


class Leverage:
    """The links, joints and loops of ``description`` as `Kinematics` moves them.

    ``parts`` are what can be touched: links that a joint moves, at their centres of mass, and "tip", the point that
    experiments watch.
    """

    def __init__(self, description: MusculoskeletalDescription, kinematics: Kinematics) -> None:
        self._kinematics = kinematics
        tip = kinematics.points([description.tip])
        coms = {link.name: BodyPoint(link=link.name, point_m=link.com_m) for link in description.links}
        points = {"tip": tip} | {name: kinematics.points([com]) for name, com in coms.items()}
        self._points = {name: point for name, point in points.items() if point.joint[0] >= 0}
        self.parts = tuple(self._points)
        moved = [link for link in description.links if kinematics.points([coms[link.name]]).joint[0] >= 0]
        self._coms = kinematics.points([coms[link.name] for link in moved])
        self._mass_kg = np.array([link.mass_kg for link in moved])
        turns = [link.rotation() @ matrix_from_rpy(link.com_rpy_rad) for link in moved]
        self._inertia_kg_m2 = np.array(
            [turn @ link.inertia_kg_m2.matrix() @ turn.T for link, turn in zip(moved, turns, strict=True)]
        )
        closures = description.closures
        self._loop_ends = kinematics.points([*(loop.a for loop in closures), *(loop.b for loop in closures)])
        self._carries = _carries(kinematics.tree.parent)

    def torque(self, angle_rad: np.ndarray, touches: Sequence[Touch]) -> np.ndarray:
        """Joint torques (n_joints,) in N m that do what ``touches`` do, at these joint angles: J^T F."""
        pose = self._kinematics.pose(angle_rad)
        total = np.zeros(len(angle_rad))
        for touch in touches:
            point = self._points[touch.part]
            total += self._jacobian(pose, point)[0].T @ touch.force_n
            total += self._turning(pose, point)[0].T @ touch.torque_nm
        return total

    def at(self, part: str, angle_rad: np.ndarray, speed_rad_s: np.ndarray) -> HeldPoint:
        """Where a part is, how fast it moves, and how it gives way; other forces have no say in that."""
        pose, point = self._kinematics.pose(angle_rad), self._points[part]
        jacobian = self._jacobian(pose, point)[0]
        mobility = jacobian @ self._joint_mobility(pose) @ jacobian.T
        top_speed_m_s = TOP_SPEED_RAD_S * self.lever_m(part)
        return HeldPoint(_placed(pose, point)[0], jacobian @ speed_rad_s, mobility, top_speed_m_s)

    def lever_m(self, part: str) -> float:
        """How far the part is at rest from the farthest joint that moves it."""
        point = self._points[part]
        anchors = self._kinematics.tree.anchor[self._carries[point.joint[0]]]
        return float(np.linalg.norm(anchors - point.position, axis=1).max())

    def position(self, part: str, angle_rad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) in m of a part, and its derivatives by the joint angles (3, n_joints)."""
        pose, point = self._kinematics.pose(angle_rad), self._points[part]
        return _placed(pose, point)[0], self._jacobian(pose, point)[0]

    def gap(self, angle_rad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far loops are open (3 n_closures,) in m, and its derivatives by the angles (3 n_closures, n_joints)."""
        pose = self._kinematics.pose(angle_rad)
        a, b = np.split(_placed(pose, self._loop_ends), 2)
        return (a - b).ravel(), self._loops(pose)

    def inertia(self, pose: Pose) -> np.ndarray:
        """The joint-space inertia matrix (n_joints, n_joints) in kg m^2, loops open."""
        moving, turning = self._jacobian(pose, self._coms), self._turning(pose, self._coms)
        turn = pose.rotation[self._coms.joint]
        inertia = turn @ self._inertia_kg_m2 @ turn.transpose(0, 2, 1)
        of_mass = np.einsum("l,lij,lik->jk", self._mass_kg, moving, moving)
        return of_mass + np.einsum("lij,lik,lkm->jm", turning, inertia, turning)

    def _joint_mobility(self, pose: Pose) -> np.ndarray:
        """Joint accelerations per torque (n_joints, n_joints), loops closed."""
        free, loops = np.linalg.inv(self.inertia(pose)), self._loops(pose)
        into_loops = free @ loops.T
        return free - into_loops @ np.linalg.pinv(loops @ into_loops, rcond=1e-9) @ into_loops.T

    def _loops(self, pose: Pose) -> np.ndarray:
        a, b = np.split(self._jacobian(pose, self._loop_ends), 2)
        return (a - b).reshape(-1, len(self._carries) - 1)

    def _jacobian(self, pose: Pose, points: Points) -> np.ndarray:
        """Derivatives (n, 3, n_joints) of the positions of ``points`` by the joint angles."""
        levers = _placed(pose, points)[:, None] - pose.anchor
        return (_cross(pose.axis, levers) * self._carries[points.joint][..., None]).transpose(0, 2, 1)

    def _turning(self, pose: Pose, points: Points) -> np.ndarray:
        """Angular velocity (n, 3, n_joints) of what carries ``points`` per joint speed."""
        return (pose.axis * self._carries[points.joint][..., None]).transpose(0, 2, 1)


def _placed(pose: Pose, points: Points) -> np.ndarray:
    placed = np.empty_like(points.position)
    place(points, pose, placed)
    return placed


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products of vectors (..., 3); numpy's own takes six times as long for so few."""
    return a[..., NEXT] * b[..., LAST] - a[..., LAST] * b[..., NEXT]


def _carries(parent: np.ndarray) -> np.ndarray:
    """Whether what hangs on joint i is moved by joint j (n + 1, n); the last row is that of the world, joint -1."""
    carries = np.zeros((len(parent) + 1, len(parent)), dtype=bool)
    for i in range(len(parent)):
        j = i
        while j >= 0:
            carries[i, j] = True
            j = parent[j]
    return carries
