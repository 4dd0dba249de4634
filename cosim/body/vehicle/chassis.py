# SPDX-License-Identifier: GPL-2.0-or-later
"""A vehicle as hands feel it: its links, where they are, and how it gives way as one rigid piece."""

from __future__ import annotations

import numpy as np
import pybullet

from cosim.body.touch import HeldPoint

# A hand moves a vehicle no faster than this, about as fast as they drive.
TOP_SPEED_M_S = 1.0
# PyBullet's index of the root of a tree of links.
ROOT = -1


class Chassis:
    """The links of the vehicle ``robot`` in a PyBullet world; None stands for the vehicle as a whole."""

    def __init__(self, robot: int, client: int) -> None:
        self._robot, self._here = robot, {"physicsClientId": client}
        joints = range(pybullet.getNumJoints(robot, **self._here))
        self._index = {pybullet.getJointInfo(robot, i, **self._here)[12].decode(): i for i in joints}
        self.links = tuple(self._index)
        dynamics = [pybullet.getDynamicsInfo(robot, i, **self._here) for i in (ROOT, *self._index.values())]
        self._mass_kg = np.array([each[0] for each in dynamics])
        self._inertia_kg_m2 = np.array([each[2] for each in dynamics])  # principal, about the centre of mass

    def at(self, link: str | None) -> HeldPoint:
        """The centre of mass of a link: how it gives way says the vehicle with its wheels locked, in the air."""
        places_m, turns, speeds_m_s = self._states()
        middle_m = self._mean(places_m)
        if link is None:
            return HeldPoint(middle_m, self._mean(speeds_m_s), np.eye(3) / self._mass_kg.sum(), TOP_SPEED_M_S)
        row = self._index[link] + 1
        arm, inertia_kg_m2 = _cross(places_m[row] - middle_m), self._inertia(places_m - middle_m, turns)
        mobility = np.eye(3) / self._mass_kg.sum() - arm @ np.linalg.inv(inertia_kg_m2) @ arm
        return HeldPoint(places_m[row], speeds_m_s[row], mobility, TOP_SPEED_M_S)

    def push(self, link: str | None, force_n: np.ndarray, torque_nm: np.ndarray) -> None:
        """Let a force at the centre of mass and a torque, in axes of the room, act in the next physics step."""
        places_m = self._states()[0]
        index = ROOT if link is None else self._index[link]
        at_m = self._mean(places_m) if link is None else places_m[index + 1]
        pybullet.applyExternalForce(self._robot, index, force_n, at_m, pybullet.WORLD_FRAME, **self._here)
        pybullet.applyExternalTorque(self._robot, index, torque_nm, pybullet.WORLD_FRAME, **self._here)

    def _states(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Centres of mass (n, 3), rotations (n, 3, 3) and speeds (n, 3) of all links, the root first."""
        links = [
            pybullet.getLinkState(self._robot, i, computeLinkVelocity=True, computeForwardKinematics=True, **self._here)
            for i in self._index.values()
        ]
        place, turn = pybullet.getBasePositionAndOrientation(self._robot, **self._here)
        speed = pybullet.getBaseVelocity(self._robot, **self._here)[0]
        turns = [pybullet.getMatrixFromQuaternion(each) for each in (turn, *(link[1] for link in links))]
        return (
            np.array([place, *(link[0] for link in links)]),
            np.reshape(turns, (-1, 3, 3)),
            np.array([speed, *(link[6] for link in links)]),
        )

    def _mean(self, of_links: np.ndarray) -> np.ndarray:
        """The mean of a vector (n, 3) of all links, by their masses."""
        return self._mass_kg @ of_links / self._mass_kg.sum()

    def _inertia(self, arms_m: np.ndarray, turns: np.ndarray) -> np.ndarray:
        """The inertia tensor (3, 3) about the centre of mass, from which links are ``arms_m`` away."""
        own = np.einsum("lij,lj,lkj->ik", turns, self._inertia_kg_m2, turns)
        squares = self._mass_kg @ np.sum(arms_m**2, axis=1) * np.eye(3)
        return own + squares - np.einsum("l,li,lj->ij", self._mass_kg, arms_m, arms_m)


def _cross(vector: np.ndarray) -> np.ndarray:
    """The matrix (3, 3) whose product with another vector is the cross product with it."""
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
