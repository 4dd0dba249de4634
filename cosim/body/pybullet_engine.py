# SPDX-License-Identifier: GPL-2.0-or-later
"""PyBullet behind the joint-space seam: joint torques go in, joint angles and speeds come out.

An engine has `reset`, `state`, `step`, `loop_error` and `close`; it knows nothing of muscles.
"""

import tempfile
from pathlib import Path

import numpy as np
import pybullet

from cosim.body import urdf
from cosim.body.description import Closure, Description, Point

# Gauss-Seidel sweeps over loop closures and joint limits in a step.
SOLVER_ITERATIONS = 50
# Far above any force in a closure, so that it never gives.
CLOSURE_MAX_FORCE_N = 1e6


class PyBulletEngine:
    """The mechanism of ``description`` in a PyBullet world of its own (DIRECT: no window, no display).

    Angles (rad), speeds (rad/s) and torques (N m) are arrays (n_joints,) in the order of the description's
    revolute joints. Runs from the same `reset` are identical bit for bit.
    """

    def __init__(self, description: Description):
        self._description = description
        self._client = pybullet.connect(pybullet.DIRECT)
        self._step_s = None
        self._set_up_world()
        self._body = self._load_body()
        self._index = self._find_joints()
        self._joints = [self._index[joint.name] for joint in description.revolute_joints]
        self._free_joints()
        for closure in description.closures:
            self._close_loop(closure)

    def reset(self, angle_rad, speed_rad_s):
        """Put the joints at these angles and speeds."""
        for joint, angle, speed in zip(self._joints, angle_rad, speed_rad_s):
            pybullet.resetJointState(self._body, joint, angle, speed, physicsClientId=self._client)

    def state(self) -> tuple[np.ndarray, np.ndarray]:
        """Joint angles and speeds."""
        joints = pybullet.getJointStates(self._body, self._joints, physicsClientId=self._client)
        return np.array([joint[0] for joint in joints]), np.array([joint[1] for joint in joints])

    def step(self, torque_N_m, step_s: float):
        """Advance by ``step_s`` under constant joint torques, joint damping and gravity."""
        if step_s != self._step_s:
            pybullet.setTimeStep(step_s, physicsClientId=self._client)
            self._step_s = step_s
        pybullet.setJointMotorControlArray(
            self._body, self._joints, pybullet.TORQUE_CONTROL, forces=torque_N_m,
            physicsClientId=self._client)
        pybullet.stepSimulation(physicsClientId=self._client)

    def loop_error(self) -> float:
        """Largest distance in m between the two points of a loop closure; 0 where there are no closures."""
        gaps = [np.linalg.norm(self._world_position(c.a) - self._world_position(c.b))
                for c in self._description.closures]
        return float(max(gaps, default=0.0))

    def close(self):
        """Leave the PyBullet world; the engine cannot be used any more."""
        pybullet.disconnect(physicsClientId=self._client)

    def _set_up_world(self):
        pybullet.setGravity(*self._description.gravity_m_s2, physicsClientId=self._client)
        # A threshold above 0 lets the solver stop early, and the closure drifts open.
        pybullet.setPhysicsEngineParameter(
            numSolverIterations=SOLVER_ITERATIONS, solverResidualThreshold=0.0, physicsClientId=self._client)

    def _load_body(self) -> int:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "body.urdf"
            file.write_text(urdf.to_urdf(self._description))
            return pybullet.loadURDF(str(file), useFixedBase=True, flags=pybullet.URDF_USE_INERTIA_FROM_FILE,
                                     physicsClientId=self._client)

    def _find_joints(self) -> dict[str, int]:
        """PyBullet's joint index by joint name; a link has the index of the joint above it."""
        joints = (pybullet.getJointInfo(self._body, i, physicsClientId=self._client)
                  for i in range(pybullet.getNumJoints(self._body, physicsClientId=self._client)))
        return {joint[1].decode(): joint[0] for joint in joints}

    def _free_joints(self):
        """Take away PyBullet's default motors and damping; give the joints their own damping."""
        for i in self._index.values():
            pybullet.changeDynamics(self._body, i, linearDamping=0.0, angularDamping=0.0,
                                    physicsClientId=self._client)
        for i, joint in zip(self._joints, self._description.revolute_joints):
            # jointDamping needs a call of its own: beside other settings PyBullet loses it.
            pybullet.changeDynamics(self._body, i, jointDamping=joint.damping_N_m_s_rad,
                                    physicsClientId=self._client)
        pybullet.setJointMotorControlArray(self._body, self._joints, pybullet.VELOCITY_CONTROL,
                                           forces=[0.0] * len(self._joints), physicsClientId=self._client)

    def _close_loop(self, closure: Closure):
        a, b = self._pivot(closure.a), self._pivot(closure.b)
        constraint = pybullet.createConstraint(
            self._body, self._link_index(closure.a), self._body, self._link_index(closure.b),
            pybullet.JOINT_POINT2POINT, [0.0, 0.0, 0.0], a.tolist(), b.tolist(), physicsClientId=self._client)
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
        com, turn = pybullet.getLinkState(self._body, self._link_index(point), computeForwardKinematics=True,
                                          physicsClientId=self._client)[:2]
        return np.array(com) + _matrix(turn) @ self._pivot(point)


def _matrix(quaternion) -> np.ndarray:
    return np.array(pybullet.getMatrixFromQuaternion(quaternion)).reshape(3, 3)
