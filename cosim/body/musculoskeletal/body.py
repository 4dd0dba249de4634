# SPDX-License-Identifier: GPL-2.0-or-later
"""The body in a closed loop: muscles, joint kinematics and a physics engine, one coupling step at a time."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from cosim.body.engines import registry
from cosim.body.musculoskeletal.description import MusculoskeletalDescription
from cosim.body.musculoskeletal.kinematics import Kinematics
from cosim.body.musculoskeletal.leverage import Leverage
from cosim.body.musculoskeletal.muscle import TENDONS
from cosim.body.musculoskeletal.ports import ContactsPort, JointsPort, MusclesPort, TipPort, make_ports
from cosim.body.musculoskeletal.reach import Reach
from cosim.body.musculoskeletal.state import BodyState
from cosim.body.touch import Hands, Touchable, shown
from cosim.timegrid import is_multiple

# Bullet cuts joint speeds off at 100 rad/s (btMultiBody's maximum coordinate velocity), so a body that
# diverges arrives there; nothing that moves as it should comes near.
MAX_JOINT_SPEED_RAD_S = 90.0


class MusculoskeletalBody(Touchable):
    """A body that follows muscle commands; lives on the body rank only.

    ``driven`` says what a command is: "excitation" goes through activation dynamics, "activation" is taken as
    it is from the start of the coupling step. ``tendon`` says whether tendons stretch, ``engine`` what moves
    the joints. Raises ValueError where one of these is unknown or the coupling step is no multiple of the
    physics step.

    ``ports`` are those of `cosim.body.musculoskeletal.ports`. ``series`` maps a name to an array (n_substeps, n) with
    the samples after every physics step of the last coupling step, whose columns are named by ``columns``; the
    arrays are used again in the next one.
    """

    def __init__(
        self,
        description: MusculoskeletalDescription,
        physics_step_ms: float = 1.0,
        coupling_step_ms: float = 20.0,
        driven: Literal["excitation", "activation"] = "excitation",
        tendon: Literal["rigid", "elastic"] = "rigid",
        engine: str = registry.DEFAULT,
    ) -> None:
        _check_choice("driven", driven, ("excitation", "activation"))
        _check_choice("tendon", tendon, tuple(TENDONS))
        self._name, self._jumps = description.name, driven == "activation"
        self._substeps = count_substeps(coupling_step_ms, physics_step_ms)
        self._step_s = physics_step_ms / 1000.0
        self._state = BodyState(description)
        self._kinematics = Kinematics(description)
        self._muscle_model = TENDONS[tendon](description.muscles)
        self._engine = registry.start(engine, description)
        self._leverage = Leverage(description, self._kinematics)
        self._reach = Reach(description, self._leverage)
        self._hands = Hands(self._leverage.parts, physics_step_ms)
        self.ports = make_ports(description, self._state)
        self._effort = _efforts(description)
        self._moment_arm = np.empty((len(description.muscles), len(self._effort)))
        self._sampled = self._choose_samples(description)
        self.series = {name: np.zeros((self._substeps, array.size)) for name, (array, _) in self._sampled.items()}
        self.columns = {name: columns for name, (_, columns) in self._sampled.items()}
        self.reset()

    @property
    def muscles(self) -> MusclesPort:
        """Muscle commands and sensors."""
        return self.ports["muscles"]

    @property
    def joints(self) -> JointsPort:
        """Joint sensors."""
        return self.ports["joints"]

    @property
    def tip(self) -> TipPort:
        """Position of the tip."""
        return self.ports["tip"]

    @property
    def contacts(self) -> ContactsPort:
        """Touch of the solid links."""
        return self.ports["contacts"]

    @property
    def parts(self) -> Sequence[str]:
        """What can be touched: "tip", and the links that a joint moves, each at its centre of mass."""
        return self._leverage.parts

    @property
    def time_ms(self) -> float:
        """Simulated time since the last reset."""
        return self._steps_done * self._step_s * 1000.0

    def reset(
        self,
        angle_rad: float | np.ndarray = 0.0,
        speed_rad_s: float | np.ndarray = 0.0,
        activation: float | np.ndarray = 0.0,
    ) -> None:
        """Start again at time 0 with these joint angles, speeds and activations; commands are zero, hands let go.

        Each is one number or an array. The angles must close the loops. Activations are clipped to what a
        muscle can have; ValueError where one is no number. Fibres start at rest. Without any of them what follows
        equals the run of a new body, byte for byte.
        """
        muscle = self._state.muscle
        self._muscle_model.put(muscle, self._finite("activation", np.broadcast_to(activation, muscle.activation.shape)))
        muscle.excitation[:] = 0.0
        self._steps_done = 0
        self._hands.let_go()
        for samples in self.series.values():
            samples.fill(0.0)
        self._put(angle_rad, speed_rad_s)

    def place(self, part: str, position_m: Sequence[float], quaternion: Sequence[float] | None = None) -> None:
        """Put the limb so that ``part`` is at ``position_m`` (3,), at rest, or as near as joints and loops let it.

        Of all such poses it is the one that is nearest to the present one. Muscles keep their activations, fibres
        come to rest, hands stay on. A limb is held by its joints, so ``quaternion`` must be None. ValueError, and
        nothing changes, where there is no such part, or where it comes no nearer than a tenth of its distance from
        the farthest joint that moves it.
        """
        if quaternion is not None:
            raise ValueError(f"quaternion = {shown(quaternion)}: must be None, as a link is turned by its joints")
        self._put(self._reach.part(self._state.joint.angle, part, position_m), 0.0)

    def set_joints(self, angle_rad: Mapping[str, float]) -> None:
        """Put the joints that are named at these angles, all at rest; others only move where a loop demands it.

        Muscles keep their activations, fibres come to rest. ValueError, and nothing changes, where there is no such
        joint, an angle is beyond its limits, or a loop would open.
        """
        self._put(self._reach.joints(self._state.joint.angle, angle_rad), 0.0)

    def advance(self) -> None:
        """Move on by one coupling step under the commands in ``muscles.excitation``.

        Raises ValueError where a command is not finite and FloatingPointError where the body diverges; the
        samples that it did not reach are NaN then.
        """
        for samples in self.series.values():
            samples.fill(np.nan)
        muscle = self._state.muscle
        command = np.clip(self._finite("excitation", muscle.excitation), 0.0, 1.0)
        if self._jumps:
            self._muscle_model.put(muscle, command)
            command = muscle.activation.copy()
            self._muscle_model.advance(muscle, 0.0)
            self._pull(jumped=True)
        is_touched = bool(self._hands)
        for row in range(self._substeps):
            self._engine.step(self._touched() if is_touched else self._torque, self._step_s)
            self._steps_done += 1
            self._sense()
            # An activation equal to the command stays as it is, so this serves both ways of driving.
            self._muscle_model.activate(muscle, command, self._step_s)
            self._muscle_model.advance(muscle, self._step_s)
            self._pull()
            self._sample(row)

    def loop_error(self) -> float:
        """Largest distance in m between two points that a loop closure holds together."""
        return self._engine.loop_error()

    def close(self) -> None:
        """Release the physics engine."""
        self._engine.close()

    def _finite(self, quantity: str, values: np.ndarray) -> np.ndarray:
        """``values`` (n_muscles,) as they are; ValueError where one is no number."""
        for name, value in zip(self.muscles.names, values, strict=True):
            if not np.isfinite(value):
                raise ValueError(
                    f"{quantity} of muscle {name} is {value} at {self.time_ms:g} ms, "
                    "allowed are finite numbers (clipped to 0 to 1)"
                )
        return values

    def _put(self, angle_rad: float | np.ndarray, speed_rad_s: float | np.ndarray) -> None:
        """Begin anew from these joint angles and speeds, with the activations that are, and fibres at rest."""
        muscle, joint = self._state.muscle, self._state.joint
        joint.angle[:], joint.speed[:] = angle_rad, speed_rad_s
        self._engine.reset(joint.angle, joint.speed)
        self._sense()
        self._muscle_model.settle(muscle)
        self._pull(jumped=True)

    def _touched(self) -> np.ndarray:
        """Joint torques for the next step, those of hands included."""
        joint = self._state.joint
        touches = self._hands.touches(lambda part: self._leverage.at(part, joint.angle, joint.speed))
        return self._torque + self._leverage.torque(joint.angle, list(touches))

    def _sense(self) -> None:
        """Take over the engine's state and work out where muscle paths, moment arms and the tip are."""
        muscle, joint = self._state.muscle, self._state.joint
        joint.angle[:], joint.speed[:] = self._engine.state()
        self._check()
        self._kinematics.measure(
            joint.angle, joint.speed, muscle.length, muscle.speed, self._moment_arm, joint.tip_position
        )
        if joint.contact_force.size:
            joint.contact_force[:] = self._engine.contact_force_N()

    def _pull(self, jumped: bool = False) -> None:
        """Joint torques for the next step, from those that follow from the muscle forces now.

        They are carried on to the middle of the step along the line through the last two values, which makes a
        step accurate to second order (Adams and Bashforth); there is no line where they ``jumped``.
        """
        joint = self._state.joint
        joint.torque_before[:] = joint.torque
        joint.torque[:] = self._state.muscle.force @ self._moment_arm + self._effort
        if jumped:
            joint.torque_before[:] = joint.torque
        self._aim()

    def _aim(self) -> None:
        joint = self._state.joint
        self._torque = 1.5 * joint.torque - 0.5 * joint.torque_before

    def _check(self) -> None:
        speed = self._state.joint.speed
        within = np.abs(speed) < MAX_JOINT_SPEED_RAD_S  # false for NaN too
        if within.all():
            return
        joint = int(np.argmin(within))
        raise FloatingPointError(
            f"the body {self._name!r} diverged at {self.time_ms:g} ms: joint {self.joints.names[joint]} turns at "
            f"{speed[joint]:g} rad/s, allowed is less than {MAX_JOINT_SPEED_RAD_S:g} rad/s "
            f"(physics step {self._step_s * 1000.0:g} ms)"
        )

    def _choose_samples(self, description: MusculoskeletalDescription) -> dict[str, tuple[np.ndarray, tuple[str, ...]]]:
        """What is recorded after every physics step, and the names of its columns."""
        muscle, joint = self._state.muscle, self._state.joint
        muscles, joints = self.muscles.names, self.joints.names
        samples = {
            "joint_angle_rad": (joint.angle, joints),
            "joint_speed_rad_s": (joint.speed, joints),
            "tip_position_m": (joint.tip_position, ("x", "y", "z")),
            "muscle_length_m": (muscle.length, muscles),
            "muscle_force_N": (muscle.force, muscles),
            "muscle_activation": (muscle.activation, muscles),
            "fiber_length_m": (muscle.fiber_length, muscles),
        }
        if description.solid_links:
            samples["contact_force_N"] = (joint.contact_force, self.contacts.names)
        return samples

    def _sample(self, row: int) -> None:
        for name, (array, _) in self._sampled.items():
            self.series[name][row] = array


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} = {value!r}: allowed are {' and '.join(map(repr, allowed))}")


def count_substeps(coupling_step_ms: float, physics_step_ms: float) -> int:
    """Physics steps in a coupling step; ValueError where that is no whole number."""
    if not (physics_step_ms > 0.0 and coupling_step_ms > 0.0):
        raise ValueError(
            f"physics_step_ms = {physics_step_ms:g}, coupling_step_ms = {coupling_step_ms:g}: both must be positive"
        )
    if not is_multiple(coupling_step_ms, physics_step_ms):
        raise ValueError(
            f"coupling_step_ms = {coupling_step_ms:g} is no multiple of physics_step_ms = {physics_step_ms:g}"
        )
    return round(coupling_step_ms / physics_step_ms)


def _efforts(description: MusculoskeletalDescription) -> np.ndarray:
    names = [joint.name for joint in description.revolute_joints]
    torque = np.zeros(len(names))
    for effort in description.efforts:
        torque[names.index(effort.joint)] += effort.torque_N_m
    return torque
