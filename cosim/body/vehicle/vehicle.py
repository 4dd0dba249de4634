# SPDX-License-Identifier: GPL-2.0-or-later
"""A wheeled vehicle in a closed loop, one coupling step at a time."""

from collections.abc import Mapping, Sequence

import numpy as np

from cosim.body import touch
from cosim.body.musculoskeletal.body import count_substeps
from cosim.body.touch import Hands, Touchable
from cosim.body.vehicle.description import VehicleDescription
from cosim.body.vehicle.engine import VehicleEngine
from cosim.body.vehicle.light import intensity
from cosim.body.vehicle.ports import VehicleState, make_ports

COLUMNS = {
    "position_m": ("x", "y", "z"),
    "heading_rad": ("heading",),
    "wheel_speed_rad_s": ("left", "right"),
    "light_intensity": ("left", "right"),
    "light_position_m": ("x", "y", "z"),
    "light_brightness": ("brightness",),
    "touching": ("touching",),
}


LIGHT = "light"
# How far below the floor the frame of a vehicle may be put: it lies there by a fraction of a mm at rest.
SUNK_M = 0.01


class Vehicle(Touchable):
    """A vehicle that follows wheel commands; lives on the body rank only.

    ``ports`` are those of `cosim.body.vehicle.ports`. ``series`` maps a name to an array (n_substeps, n) with
    the samples after every physics step of the last coupling step, whose columns are named by ``columns``;
    the arrays are used again in the next one.

    Raises ValueError where the coupling step is no multiple of the physics step.
    """

    def __init__(self, description: VehicleDescription, physics_step_ms: float, coupling_step_ms: float):
        self._substeps = count_substeps(coupling_step_ms, physics_step_ms)
        self._description, self._step_ms = description, physics_step_ms
        self._steps_done = 0
        self._state = VehicleState(description)
        self._engine = VehicleEngine(description, physics_step_ms / 1000.0)
        eyes = (description.light_sensors.left, description.light_sensors.right)
        self._eyes_m = np.array([eye.position_m for eye in eyes])
        self._axes = np.array([eye.direction for eye in eyes])
        self.ports = make_ports(description, self._state)
        self.columns = COLUMNS
        self.series = self._make_series()
        self._obstacles = [f"obstacle_{i + 1}" for i in range(len(description.obstacles))]
        self._whole = description.name
        links = [name for name in self._engine.chassis.links if name != self._whole]
        self._hands = Hands([self._whole, *links], physics_step_ms)
        self.parts: Sequence[str] = (self._whole, *links, *self._obstacles, LIGHT)
        self._sense()

    def reset(self) -> None:
        """Go back to where the vehicle was when it was made: what follows equals a new one's run, byte for byte.

        Obstacles and light go back too, commands are zero, hands let go.
        """
        self._engine.close()
        self._engine = VehicleEngine(self._description, self._step_ms / 1000.0)
        self._state.take_over(VehicleState(self._description))
        self._steps_done = 0
        self._hands.let_go()
        for samples in self.series.values():
            samples.fill(0.0)
        self._sense()

    def place(self, part: str, position_m: Sequence[float], quaternion: Sequence[float] | None = None) -> None:
        """Put the vehicle, an obstacle or the light somewhere, at rest.

        ``part`` is the name of the vehicle as a whole, such as "husky", "obstacle_1" and so on in the order of the
        body file, or "light". ``position_m`` (3,) is what ports and body file call their position: that of the
        vehicle's frame, of the middle of an obstacle's underside, of the middle of the light. ``quaternion`` (x, y,
        z, w) turns against the room; None leaves things turned as they are. Hands stay on. ValueError, and nothing
        changes, where there is no such part, or where the vehicle would be outside the room.
        """
        allowed = (self._whole, *self._obstacles, LIGHT)
        if part not in allowed:
            raise ValueError(f"place: part = {touch.shown(part)}: allowed are {', '.join(allowed)}")
        place_m, turn = touch.position(position_m), None if quaternion is None else touch.quaternion(quaternion)
        if part == LIGHT:
            self._place_light(place_m, quaternion)
        elif part == self._whole:
            self._engine.put(self._inside(place_m), turn)
        else:
            self._engine.put_obstacle(self._obstacles.index(part), place_m, turn)
        self._sense()

    def set_joints(self, angle_rad: Mapping[str, float]) -> None:
        """Refuse: the joints of a vehicle are its wheels."""
        raise ValueError("set_joints: the joints of a vehicle are its wheels, which their motors turn")

    def advance(self) -> None:
        """Move on by one coupling step under the commands in ``wheels``.

        Raises FloatingPointError where the vehicle leaves the room, as it does only if the physics diverges.
        """
        self._engine.drive(*self._state.command)
        is_touched = bool(self._hands)
        for row in range(self._substeps):
            if is_touched:
                self._touch()
            self._engine.step()
            self._steps_done += 1
            self._sense()
            self._sample(row)

    def close(self) -> None:
        """Release the physics engine."""
        self._engine.close()

    def _touch(self) -> None:
        """Let hands act in the next step."""
        for each in self._hands.touches(lambda part: self._engine.chassis.at(self._link(part))):
            self._engine.chassis.push(self._link(each.part), each.force_n, each.torque_nm)

    def _link(self, part: str) -> str | None:
        """The link that ``part`` names; None for the whole vehicle."""
        return None if part == self._whole else part

    def _inside(self, place_m: np.ndarray) -> np.ndarray:
        """``place_m`` as it is; ValueError where it is outside the room."""
        half_m = self._description.room.side_m / 2
        if max(abs(place_m[0]), abs(place_m[1]), place_m[2]) >= half_m or place_m[2] < -SUNK_M:
            raise ValueError(
                f"place: {self._whole} at {place_m.tolist()} m is outside the room: x and y must lie between "
                f"-{half_m:g} and {half_m:g} m, z between {-SUNK_M:g} and {half_m:g} m"
            )
        return place_m

    def _place_light(self, place_m: np.ndarray, quaternion: Sequence[float] | None) -> None:
        if quaternion is not None:
            raise ValueError(
                f"quaternion = {touch.shown(quaternion)}: must be None, as the light shines in all directions"
            )
        self._state.light_position[:] = place_m

    def _sense(self) -> None:
        """Take over the engine's state and work out what the eyes see."""
        state = self._state
        state.position[:], rotation = self._engine.pose()
        self._check()
        state.heading[0] = np.arctan2(rotation[1, 0], rotation[0, 0])
        state.wheel_speed[:] = self._engine.wheel_speed()
        state.touching[0] = self._engine.touches()
        eyes_m, axes = state.position + self._eyes_m @ rotation.T, self._axes @ rotation.T
        radius_m = self._description.light.radius_m
        state.intensity[:] = intensity(eyes_m, axes, state.light_position, state.brightness[0], radius_m)

    def _check(self) -> None:
        side_m = self._description.room.side_m
        if not np.all(np.abs(self._state.position) < side_m / 2):  # true for NaN too
            raise FloatingPointError(
                f"the vehicle left the room at {self._steps_done * self._step_ms:g} ms: it is at "
                f"{self._state.position.tolist()} m, allowed is less than {side_m / 2:g} m from the middle "
                f"(physics step {self._step_ms:g} ms)"
            )

    def _make_series(self) -> dict[str, np.ndarray]:
        state = self._state
        self._sampled = {
            "position_m": state.position,
            "heading_rad": state.heading,
            "wheel_speed_rad_s": state.wheel_speed,
            "light_intensity": state.intensity,
            "light_position_m": state.light_position,
            "light_brightness": state.brightness,
            "touching": state.touching,
        }
        return {name: np.zeros((self._substeps, array.size)) for name, array in self._sampled.items()}

    def _sample(self, row: int) -> None:
        for name, array in self._sampled.items():
            self.series[name][row] = array
