# SPDX-License-Identifier: GPL-2.0-or-later
"""PyBullet with a vehicle in a room: wheel speeds go in, pose, wheel speeds and contacts come out."""

import tempfile
from pathlib import Path

import numpy as np
import pybullet

from cosim.body.vehicle import urdf
from cosim.body.vehicle.chassis import Chassis
from cosim.body.vehicle.description import VehicleDescription

GRAVITY_M_S2 = -9.81
# Gauss-Seidel sweeps over contacts and motors in a step.
SOLVER_ITERATIONS = 50
WALL_THICKNESS_M = 0.1
FLOOR_COLOUR = (0.86, 0.86, 0.83, 1.0)
WALL_COLOUR = (0.72, 0.74, 0.78, 1.0)
OBSTACLE_COLOUR = (0.55, 0.45, 0.38, 1.0)
LIGHT_COLOUR = (1.0, 0.85, 0.2, 1.0)


class VehicleEngine:
    """The vehicle and the room of ``description`` in a PyBullet world of its own, without window or display.

    Two runs with the same commands are identical bit for bit.
    """

    def __init__(self, description: VehicleDescription, step_s: float) -> None:
        self._description = description
        self._client = pybullet.connect(pybullet.DIRECT)
        pybullet.setGravity(0.0, 0.0, GRAVITY_M_S2, physicsClientId=self._client)
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=step_s,
            numSolverIterations=SOLVER_ITERATIONS,
            solverResidualThreshold=0.0,
            deterministicOverlappingPairs=1,
            physicsClientId=self._client,
        )
        walls, self._obstacles = self._build_walls(), self._build_obstacles()
        self._solids = [*walls, *self._obstacles]
        self._floor, self._light = self._build_floor(), self._build_light()
        self._robot = self._load_robot()
        self._left, self._right = self._find_wheels()
        self.chassis = Chassis(self._robot, self._client)

    def drive(self, left_rad_s: float, right_rad_s: float) -> None:
        """Speeds that the motors of both sides hold from now on, as far as their torque allows."""
        wheels = self._description.wheels
        joints = [*self._left, *self._right]
        speeds = [left_rad_s] * len(self._left) + [right_rad_s] * len(self._right)
        pybullet.setJointMotorControlArray(
            self._robot,
            joints,
            pybullet.VELOCITY_CONTROL,
            targetVelocities=speeds,
            forces=[wheels.max_torque_N_m] * len(joints),
            physicsClientId=self._client,
        )

    def step(self) -> None:
        """Advance by one physics step."""
        pybullet.stepSimulation(physicsClientId=self._client)

    def pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) of the vehicle's frame and its rotation matrix (3, 3), both in the room."""
        position, turn = pybullet.getBasePositionAndOrientation(self._robot, physicsClientId=self._client)
        return np.array(position), np.array(pybullet.getMatrixFromQuaternion(turn)).reshape(3, 3)

    def put(self, position_m: np.ndarray, turn: np.ndarray | None) -> None:
        """Put the vehicle's frame there, turned by ``turn`` (x, y, z, w) or as it is turned now, all at rest."""
        here = {"physicsClientId": self._client}
        if turn is None:
            turn = pybullet.getBasePositionAndOrientation(self._robot, **here)[1]
        pybullet.resetBasePositionAndOrientation(self._robot, position_m, turn, **here)  # and its speed, to 0
        for joint in (*self._left, *self._right):
            angle_rad = pybullet.getJointState(self._robot, joint, **here)[0]
            pybullet.resetJointState(self._robot, joint, angle_rad, 0.0, **here)

    def put_obstacle(self, index: int, foot_m: np.ndarray, turn: np.ndarray | None) -> None:
        """Put the middle of the underside of an obstacle there, turned as `put` says."""
        obstacle, here = self._obstacles[index], {"physicsClientId": self._client}
        if turn is None:
            turn = pybullet.getBasePositionAndOrientation(obstacle, **here)[1]
        up = np.array(pybullet.getMatrixFromQuaternion(turn)).reshape(3, 3)[:, 2]
        middle_m = foot_m + 0.5 * self._description.obstacles[index].size_m[2] * up
        pybullet.resetBasePositionAndOrientation(obstacle, middle_m, turn, **here)

    def wheel_speed(self) -> tuple[float, float]:
        """Mean speed in rad/s of the wheels on the left and on the right."""
        return self._mean_speed(self._left), self._mean_speed(self._right)

    def touches(self) -> bool:
        """Whether the vehicle touches a wall or an obstacle."""
        return any(
            pybullet.getContactPoints(self._robot, solid, physicsClientId=self._client) for solid in self._solids
        )

    def close(self) -> None:
        """Leave the PyBullet world; the engine cannot be used any more."""
        pybullet.disconnect(physicsClientId=self._client)

    def _build_floor(self) -> int:
        room = self._description.room
        floor = self._add_box((room.side_m, room.side_m, 1.0), (0.0, 0.0, -1.0), FLOOR_COLOUR)
        pybullet.changeDynamics(floor, -1, lateralFriction=room.floor_friction, physicsClientId=self._client)
        return floor

    def _build_light(self) -> int:
        """For pictures only: nothing can touch it."""
        light, here = self._description.light, {"physicsClientId": self._client}
        lamp = pybullet.createVisualShape(pybullet.GEOM_SPHERE, radius=light.radius_m, rgbaColor=LIGHT_COLOUR, **here)
        return pybullet.createMultiBody(baseVisualShapeIndex=lamp, basePosition=light.position_m, **here)

    def _build_walls(self) -> list[int]:
        room = self._description.room
        away_m, length_m = (room.side_m + WALL_THICKNESS_M) / 2, room.side_m + 2 * WALL_THICKNESS_M
        along_x = (length_m, WALL_THICKNESS_M, room.wall_height_m)
        along_y = (WALL_THICKNESS_M, length_m, room.wall_height_m)
        places = [(along_x, (0.0, sign * away_m, 0.0)) for sign in (-1, 1)]
        places += [(along_y, (sign * away_m, 0.0, 0.0)) for sign in (-1, 1)]
        return [self._add_box(size_m, foot_m, WALL_COLOUR) for size_m, foot_m in places]

    def _build_obstacles(self) -> list[int]:
        return [
            self._add_box(box.size_m, (*box.position_m, 0.0), OBSTACLE_COLOUR, box.heading_rad)
            for box in self._description.obstacles
        ]

    def _add_box(self, size_m, foot_m, colour, heading_rad: float = 0.0) -> int:
        """A box that never moves; ``foot_m`` is the middle of its underside."""
        half = [each / 2 for each in size_m]
        here = {"physicsClientId": self._client}
        solid = pybullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half, **here)
        skin = pybullet.createVisualShape(pybullet.GEOM_BOX, halfExtents=half, rgbaColor=colour, **here)
        return pybullet.createMultiBody(
            baseCollisionShapeIndex=solid,
            baseVisualShapeIndex=skin,
            basePosition=[foot_m[0], foot_m[1], foot_m[2] + half[2]],
            baseOrientation=pybullet.getQuaternionFromEuler([0.0, 0.0, heading_rad]),
            **here,
        )

    def _load_robot(self) -> int:
        start = self._description.start
        turn = pybullet.getQuaternionFromEuler([0.0, 0.0, start.heading_rad])
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "vehicle.urdf"
            file.write_text(urdf.with_inertias(self._description.urdf_file))
            return pybullet.loadURDF(
                str(file),
                [*start.position_m, 0.0],
                turn,
                flags=pybullet.URDF_USE_INERTIA_FROM_FILE,
                physicsClientId=self._client,
            )

    def _find_wheels(self) -> tuple[list[int], list[int]]:
        """PyBullet's joint indices of the wheels on the left and on the right."""
        infos = (
            pybullet.getJointInfo(self._robot, i, physicsClientId=self._client)
            for i in range(pybullet.getNumJoints(self._robot, physicsClientId=self._client))
        )
        index = {info[1].decode(): info[0] for info in infos}
        wheels = self._description.wheels
        return [index[name] for name in wheels.left], [index[name] for name in wheels.right]

    def _mean_speed(self, joints: list[int]) -> float:
        states = pybullet.getJointStates(self._robot, joints, physicsClientId=self._client)
        return sum(state[1] for state in states) / len(states)
