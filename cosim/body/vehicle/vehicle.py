# SPDX-License-Identifier: GPL-2.0-or-later
"""A wheeled vehicle in a closed loop, one coupling step at a time."""

import numpy as np

from cosim.body.musculoskeletal.body import count_substeps
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


class Vehicle:
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
        self._sense()

    def advance(self) -> None:
        """Move on by one coupling step under the commands in ``wheels``.

        Raises FloatingPointError where the vehicle leaves the room, as it does only if the physics diverges.
        """
        self._engine.drive(*self._state.command)
        for row in range(self._substeps):
            self._engine.step()
            self._steps_done += 1
            self._sense()
            self._sample(row)

    def close(self) -> None:
        """Release the physics engine."""
        self._engine.close()

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
