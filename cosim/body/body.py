# SPDX-License-Identifier: GPL-2.0-or-later
"""The body in a closed loop: muscles, joint kinematics and a physics engine, one coupling step at a time."""

from typing import Literal

import numpy as np

from cosim.body.description import Description
from cosim.body.engine import EngineName, start
from cosim.body.kinematics import Kinematics
from cosim.body.muscle import RigidTendonMuscles
from cosim.body.ports import BodyState, make_ports
from cosim.timegrid import is_multiple

# Bullet cuts joint speeds off at 100 rad/s (btMultiBody's maximum coordinate velocity), so a body that
# diverges arrives there; nothing that moves as it should comes near.
MAX_JOINT_SPEED_RAD_S = 90.0


class Body:
    """A body that follows muscle commands; lives on the body rank only.

    ``driven`` says what a command is: "excitation" goes through activation dynamics, "activation" is taken as
    it is from the start of the coupling step. Raises ValueError where the coupling step is no multiple of the
    physics step.

    ``ports`` are ``muscles``, ``joints`` and ``tip`` (see `cosim.body.ports`). ``series`` maps a name to an
    array (n_substeps, n) with the samples after every physics step of the last coupling step, whose columns
    are named by ``columns``; the arrays are used again in the next one.
    """

    def __init__(self, description: Description, physics_step_ms: float = 1.0, coupling_step_ms: float = 20.0,
                 driven: Literal["excitation", "activation"] = "excitation",
                 tendon: Literal["rigid", "elastic"] = "rigid", engine: EngineName = "pybullet"):
        if driven not in ("excitation", "activation"):
            raise ValueError(f"driven = {driven!r}: allowed are 'excitation' and 'activation'")
        self._jumps = driven == "activation"
        self._substeps = count_substeps(coupling_step_ms, physics_step_ms)
        self._step_s = physics_step_ms / 1000.0
        self._state = BodyState(description)
        self._kinematics = Kinematics(description)
        self._muscle_model = RigidTendonMuscles(description.muscles)
        self._engine = start(engine, description)
        self.ports = make_ports(description, self._state)
        self._effort = _efforts(description)
        self._moment_arm = np.empty((len(description.muscles), len(self._effort)))
        self.series = self._make_series()
        self.columns = {name: self._columns(name) for name in self.series}
        self.reset()

    @property
    def muscles(self):
        """Muscle commands and sensors."""
        return self.ports["muscles"]

    @property
    def joints(self):
        """Joint sensors."""
        return self.ports["joints"]

    @property
    def tip(self):
        """Position of the tip."""
        return self.ports["tip"]

    @property
    def time_ms(self) -> float:
        """Simulated time since the last reset."""
        return self._steps_done * self._step_s * 1000.0

    def reset(self, angle_rad=0.0, speed_rad_s=0.0, activation=0.0):
        """Start again at time 0 with these joint angles, speeds and activations; commands are set to zero.

        Each is one number or an array. The angles must close the loops. Activations are clipped to what a
        muscle can have; ValueError where one is no number.
        """
        state = self._state
        self._steps_done = 0
        state.angle[:], state.angle_speed[:] = angle_rad, speed_rad_s
        state.activation[:] = activation
        state.activation[:] = self._allowed("activation", state.activation)
        state.excitation[:] = 0.0
        self._engine.reset(state.angle, state.angle_speed)
        self._sense()

    def advance(self):
        """Move on by one coupling step under the commands in ``muscles.excitation``.

        Raises ValueError where a command is not finite and FloatingPointError where the body diverges.
        """
        command = self._allowed("excitation", self._state.excitation)
        if self._jumps:
            self._state.activation[:] = command
            self._pull()
        for row in range(self._substeps):
            self._engine.step(self._torque, self._step_s)
            self._steps_done += 1
            # An activation equal to the command stays as it is, so this serves both ways of driving.
            self._muscle_model.activate(self._state.activation, command, self._step_s)
            self._sense()
            self._sample(row)

    def loop_error(self) -> float:
        """Largest distance in m between two points that a loop closure holds together."""
        return self._engine.loop_error()

    def close(self):
        """Release the physics engine."""
        self._engine.close()

    def _allowed(self, quantity: str, values: np.ndarray) -> np.ndarray:
        """``values`` (n_muscles,) clipped to what an activation can be; ValueError where one is no number."""
        for name, value in zip(self.muscles.names, values):
            if not np.isfinite(value):
                raise ValueError(f"{quantity} of muscle {name} is {value} at {self.time_ms:g} ms, "
                                 "allowed are finite numbers (clipped to 0 to 1)")
        return self._muscle_model.clip(values)

    def _sense(self):
        """Take over the engine's state and work out everything that follows from it."""
        state = self._state
        state.angle[:], state.angle_speed[:] = self._engine.state()
        self._check()
        self._kinematics.measure(state.angle, state.angle_speed, state.length, state.speed, self._moment_arm)
        self._kinematics.tip(state.angle, state.tip_position)
        self._pull()

    def _pull(self):
        """Muscle forces and the joint torques that they make."""
        state = self._state
        self._muscle_model.pull(state.activation, state.length, state.speed, state.force)
        self._torque = state.force @ self._moment_arm + self._effort

    def _check(self):
        within = np.abs(self._state.angle_speed) < MAX_JOINT_SPEED_RAD_S  # false for NaN too
        if within.all():
            return
        joint = int(np.argmin(within))
        raise FloatingPointError(
            f"the body diverged at {self.time_ms:g} ms: joint {self.joints.names[joint]} turns at "
            f"{self._state.angle_speed[joint]:g} rad/s, allowed is less than {MAX_JOINT_SPEED_RAD_S:g} rad/s "
            f"(physics step {self._step_s * 1000.0:g} ms)")

    def _make_series(self) -> dict[str, np.ndarray]:
        state = self._state
        self._sampled = {
            "joint_angle_rad": state.angle,
            "tip_position_m": state.tip_position,
            "muscle_length_m": state.length,
            "muscle_force_N": state.force,
            "muscle_activation": state.activation,
        }
        return {name: np.zeros((self._substeps, array.size)) for name, array in self._sampled.items()}

    def _columns(self, series: str) -> tuple[str, ...]:
        """What the columns of a series are, told by the first word of its name."""
        names = {"joint": self.joints.names, "muscle": self.muscles.names, "tip": ("x", "y", "z")}
        return names[series.partition("_")[0]]

    def _sample(self, row: int):
        for name, array in self._sampled.items():
            self.series[name][row] = array


def count_substeps(coupling_step_ms: float, physics_step_ms: float) -> int:
    """Physics steps in a coupling step; ValueError where that is no whole number."""
    if not (physics_step_ms > 0.0 and coupling_step_ms > 0.0):
        raise ValueError(f"physics_step_ms = {physics_step_ms:g}, coupling_step_ms = {coupling_step_ms:g}: "
                         "both must be positive")
    if not is_multiple(coupling_step_ms, physics_step_ms):
        raise ValueError(f"coupling_step_ms = {coupling_step_ms:g} is no multiple of "
                         f"physics_step_ms = {physics_step_ms:g}")
    return round(coupling_step_ms / physics_step_ms)


def _efforts(description: Description) -> np.ndarray:
    names = [joint.name for joint in description.revolute_joints]
    torque = np.zeros(len(names))
    for effort in description.efforts:
        torque[names.index(effort.joint)] += effort.torque_N_m
    return torque
