# SPDX-License-Identifier: GPL-2.0-or-later
"""PyBullet behind the joint-space seam: joint torques go in, joint angles and speeds come out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pybullet

from cosim.body.engines.engine import FRICTION, kept_apart
from cosim.body.musculoskeletal import urdf
from cosim.body.musculoskeletal.description import Closure, MusculoskeletalDescription, Point

# A step is made in two halves, which costs 8 us more and keeps the closed loop of the forelimb four times as tight
# (0.3 instead of 1.2 um in its fastest movements; it opens with the square of the step).
SUBSTEPS = 2
# Gauss-Seidel sweeps over loop closures and joint limits in each; the forelimb needs fewer than 20.
SOLVER_ITERATIONS = 20
# Far above any force in a closure, so that it never gives.
CLOSURE_MAX_FORCE_N = 1e6


class PyBulletEngine:
    """The mechanism of ``description`` in a PyBullet world of its own (DIRECT: no window); an `Engine`.

    Bullet moves joints with the speeds that they have at the end of a substep (semi-implicit Euler method). What
    it holds as angles and speeds of one time are, to second order, angles half a substep later. Here they are
    started and reported so that both are of the same time, which takes away the larger part of the method's
    error: a limb that falls freely keeps its energy to 1e-6 instead of 1e-3.
    """

    def __init__(self, description: MusculoskeletalDescription) -> None:
        self._description = description
        self._client = pybullet.connect(pybullet.DIRECT)
        self._force = np.zeros(len(description.solid_links))
        # By how long Bullet's angles are ahead of its speeds, in s.
        self._ahead_s = 0.0
        self._build()

    def reset(self, angle_rad: np.ndarray, speed_rad_s: np.ndarray) -> None:
        """Put the joints at these angles and speeds and forget everything else."""
        if self._force.size:
            # Bullet keeps the points of a contact from step to step; nothing less makes it forget them.
            pybullet.resetSimulation(physicsClientId=self._client)
            self._build()
            self._force[:] = 0.0
        self._ahead_s = 0.0
        self._put(angle_rad, speed_rad_s)

    def state(self) -> tuple[np.ndarray, np.ndarray]:
        """Joint angles and speeds."""
        joints = pybullet.getJointStates(self._body, self._joints, physicsClientId=self._client)
        speed_rad_s = np.array([joint[1] for joint in joints])
        return np.array([joint[0] for joint in joints]) - self._ahead_s * speed_rad_s, speed_rad_s

    def step(self, torque_N_m: np.ndarray, step_s: float) -> None:
        """Advance by ``step_s`` under constant joint torques, joint damping and gravity."""
        if self._ahead_s != 0.5 * step_s / SUBSTEPS:
            self._get_ahead(step_s)
        pybullet.setJointMotorControlArray(
            self._body, self._joints, pybullet.TORQUE_CONTROL, forces=torque_N_m, physicsClientId=self._client
        )
        pybullet.stepSimulation(physicsClientId=self._client)
        if self._force.size:
            self._feel()

    def loop_error(self) -> float:
        """Largest distance in m between the two points of a loop closure; 0 where there are no closures."""
        gaps = [
            np.linalg.norm(self._world_position(c.a) - self._world_position(c.b)) for c in self._description.closures
        ]
        return float(max(gaps, default=0.0))

    def contact_force_N(self) -> np.ndarray:
        """Sum of the normal forces on each solid link (n_solid_links,) in the last step."""
        return self._force.copy()

    def bare_step(self, step_s: float) -> Callable[[], object]:
        """Bullet's own call for a step of ``step_s`` without torques."""
        self.step(np.zeros(len(self._joints)), step_s)  # sets the length of a step
        return partial(pybullet.stepSimulation, self._client)

    def close(self) -> None:
        """Leave the PyBullet world; the engine cannot be used any more."""
        pybullet.disconnect(physicsClientId=self._client)

    def _get_ahead(self, step_s: float) -> None:
        """Bring the angles half a substep ahead of the speeds, for steps of ``step_s``."""
        angle_rad, speed_rad_s = self.state()
        self._ahead_s = 0.5 * step_s / SUBSTEPS
        pybullet.setTimeStep(step_s, physicsClientId=self._client)
        if speed_rad_s.any():
            self._put(angle_rad + self._ahead_s * speed_rad_s, speed_rad_s)

    def _put(self, angle_rad: np.ndarray, speed_rad_s: np.ndarray) -> None:
        for joint, angle, speed in zip(self._joints, angle_rad, speed_rad_s, strict=True):
            pybullet.resetJointState(self._body, joint, angle, speed, physicsClientId=self._client)

    def _build(self) -> None:
        """Fill the empty world."""
        self._set_up_world()
        self._body = self._load_body()
        self._index = self._find_joints()
        self._joints = [self._index[joint.name] for joint in self._description.revolute_joints]
        self._free_joints()
        for closure in self._description.closures:
            self._close_loop(closure)
        self._make_solid()

    def _set_up_world(self) -> None:
        pybullet.setGravity(*self._description.gravity_m_s2, physicsClientId=self._client)
        # A threshold above 0 lets the solver stop early, and the closure drifts open.
        pybullet.setPhysicsEngineParameter(
            numSubSteps=SUBSTEPS,
            numSolverIterations=SOLVER_ITERATIONS,
            solverResidualThreshold=0.0,
            physicsClientId=self._client,
        )

    def _load_body(self) -> int:
        flags = pybullet.URDF_USE_INERTIA_FROM_FILE
        if self._force.size:
            flags |= pybullet.URDF_USE_SELF_COLLISION
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "body.urdf"
            file.write_text(urdf.to_urdf(self._description))
            return pybullet.loadURDF(str(file), useFixedBase=True, flags=flags, physicsClientId=self._client)

    def _find_joints(self) -> dict[str, int]:
        """PyBullet's joint index by joint name; a link has the index of the joint above it."""
        joints = (
            pybullet.getJointInfo(self._body, i, physicsClientId=self._client)
            for i in range(pybullet.getNumJoints(self._body, physicsClientId=self._client))
        )
        return {joint[1].decode(): joint[0] for joint in joints}

    def _free_joints(self) -> None:
        """Take away PyBullet's default motors and damping; give the joints their own damping."""
        for i in self._index.values():
            pybullet.changeDynamics(self._body, i, linearDamping=0.0, angularDamping=0.0, physicsClientId=self._client)
        for i, joint in zip(self._joints, self._description.revolute_joints, strict=True):
            # jointDamping needs a call of its own: beside other settings PyBullet loses it.
            pybullet.changeDynamics(self._body, i, jointDamping=joint.damping_N_m_s_rad, physicsClientId=self._client)
        pybullet.setJointMotorControlArray(
            self._body,
            self._joints,
            pybullet.VELOCITY_CONTROL,
            forces=[0.0] * len(self._joints),
            physicsClientId=self._client,
        )

    def _make_solid(self) -> None:
        """Let solid links touch each other."""
        links = {
            link.name: self._index[self._description.joint_above(link.name).name]
            for link in self._description.solid_links
        }
        self._solid = {index: i for i, index in enumerate(links.values())}
        if links:
            pybullet.setPhysicsEngineParameter(deterministicOverlappingPairs=1, physicsClientId=self._client)
        for index in links.values():
            # Bullet multiplies the coefficients of the two sides.
            pybullet.changeDynamics(self._body, index, lateralFriction=FRICTION**0.5, physicsClientId=self._client)
        for a, b in kept_apart(self._description):
            pybullet.setCollisionFilterPair(
                self._body, self._body, links[a], links[b], False, physicsClientId=self._client
            )

    def _feel(self) -> None:
        """Take over the normal forces; Bullet divides the impulses of the last substep by the length of a step."""
        self._force[:] = 0.0
        for contact in pybullet.getContactPoints(self._body, self._body, physicsClientId=self._client):
            for link in contact[3:5]:
                self._force[self._solid[link]] += SUBSTEPS * contact[9]

    def _close_loop(self, closure: Closure) -> None:
        a, b = self._pivot(closure.a), self._pivot(closure.b)
        constraint = pybullet.createConstraint(
            self._body,
            self._link_index(closure.a),
            self._body,
            self._link_index(closure.b),
            pybullet.JOINT_POINT2POINT,
            [0.0, 0.0, 0.0],
            a.tolist(),
            b.tolist(),
            physicsClientId=self._client,
        )
        pybullet.changeConstraint(constraint, maxForce=CLOSURE_MAX_FORCE_N, physicsClientId=self._client)

    def _link_index(self, point: Point) -> int:
        return self._index[self._description.joint_above(point.link).name]

    def _pivot(self, point: Point) -> np.ndarray:
        """``point`` in the inertial frame of its link, in which PyBullet wants it."""
        info = pybullet.getDynamicsInfo(self._body, self._link_index(point), physicsClientId=self._client)
        rest = self._description.link(point.link).in_model(point.point_m)
        offset = rest - urdf.frame_position(self._description, point.link)
        return _matrix(info[4]).T @ (offset - info[3])

    def _world_position(self, point: Point) -> np.ndarray:
        com, turn = pybullet.getLinkState(
            self._body, self._link_index(point), computeForwardKinematics=True, physicsClientId=self._client
        )[:2]
        return np.array(com) + _matrix(turn) @ self._pivot(point)


def _matrix(quaternion) -> np.ndarray:
    return np.array(pybullet.getMatrixFromQuaternion(quaternion)).reshape(3, 3)
