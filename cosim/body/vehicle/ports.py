# SPDX-License-Identifier: GPL-2.0-or-later
"""What transfer functions see of a vehicle: wheels to command, a light to move, and sensors to read.

Ports are plain objects around arrays that are made once and written in place, so a port taken at the start
stays valid for the whole run. They need no physics engine.
"""

from __future__ import annotations

import math

import numpy as np

from cosim.body.vehicle.description import VehicleDescription

LEFT, RIGHT = 0, 1


class VehicleState:
    """The arrays of a vehicle, which it writes and the ports show; SI units, pairs are left and right."""

    def __init__(self, description: VehicleDescription) -> None:
        self.command, self.wheel_speed, self.intensity = np.zeros((3, 2))
        self.position = np.array([*description.start.position_m, 0.0])
        self.heading = np.array([description.start.heading_rad])
        self.light_position = np.array(description.light.position_m)
        self.brightness = np.array([description.light.brightness])
        self.touching = np.zeros(1)

    def take_over(self, other: VehicleState) -> None:
        """Write what ``other`` has into the arrays, which stay the ones that ports show."""
        for name, array in vars(self).items():
            array[:] = getattr(other, name)


class _Port:
    """Shows a state. Slots, so that a mistyped attribute is an error."""

    __slots__ = ("_state",)

    def __init__(self, state: VehicleState) -> None:
        self._state = state


class WheelsPort(_Port):
    """Speed commands for the motors of both sides, and the speeds of the wheels; forward is positive."""

    __slots__ = ("max_rad_s",)

    def __init__(self, state: VehicleState, max_rad_s: float) -> None:
        super().__init__(state)
        self.max_rad_s = max_rad_s

    @property
    def left_rad_s(self) -> float:
        """Command for all wheels on the left, held over the next coupling step.

        Clipped to what the motors can do (``max_rad_s``, both ways); ValueError if it is not finite.
        """
        return float(self._state.command[LEFT])

    @left_rad_s.setter
    def left_rad_s(self, speed: float) -> None:
        self._state.command[LEFT] = self._allowed("left", speed)

    @property
    def right_rad_s(self) -> float:
        """Command for all wheels on the right, as ``left_rad_s``."""
        return float(self._state.command[RIGHT])

    @right_rad_s.setter
    def right_rad_s(self, speed: float) -> None:
        self._state.command[RIGHT] = self._allowed("right", speed)

    @property
    def speed_rad_s(self) -> np.ndarray:
        """Measured mean speed (2,) of the wheels on the left and on the right, read-only."""
        return _read_only(self._state.wheel_speed)

    def _allowed(self, side: str, speed: float) -> float:
        if not math.isfinite(speed):
            raise ValueError(f"wheels.{side}_rad_s = {speed}: must be a finite number")
        return min(max(speed, -self.max_rad_s), self.max_rad_s)


class PosePort(_Port):
    """Where the vehicle is."""

    __slots__ = ()

    @property
    def position_m(self) -> np.ndarray:
        """Position (3,) of the middle of the vehicle's underside, read-only."""
        return _read_only(self._state.position)

    @property
    def heading_rad(self) -> float:
        """Where it looks: 0 along x, counter-clockwise positive, from -pi to pi."""
        return float(self._state.heading[0])


class LightPort(_Port):
    """The lamp, which can be moved and dimmed."""

    __slots__ = ()

    @property
    def position_m(self) -> np.ndarray:
        """Position (3,), read-only; assign x, y, z to move the light. ValueError if one is not finite."""
        return _read_only(self._state.light_position)

    @position_m.setter
    def position_m(self, position: np.ndarray) -> None:
        if np.shape(position) != (3,) or not np.all(np.isfinite(position)):
            raise ValueError(f"light.position_m = {position!r}: must be three finite numbers: x, y, z")
        self._state.light_position[:] = position

    @property
    def brightness(self) -> float:
        """What a sensor sees that looks straight at it from 1 m; ValueError if negative or not finite."""
        return float(self._state.brightness[0])

    @brightness.setter
    def brightness(self, brightness: float) -> None:
        if not 0.0 <= brightness < math.inf:
            raise ValueError(f"light.brightness = {brightness}: must be a finite number, 0 or more")
        self._state.brightness[0] = brightness

    @property
    def distance_m(self) -> float:
        """How far the light is from the vehicle over the floor."""
        return float(np.hypot(*(self._state.light_position - self._state.position)[:2]))


class LightSensorsPort(_Port):
    """The two eyes; `cosim.body.vehicle.light` says what they see."""

    __slots__ = ()

    @property
    def left(self) -> float:
        """Intensity at the left sensor, 0 or more."""
        return float(self._state.intensity[LEFT])

    @property
    def right(self) -> float:
        """Intensity at the right sensor, 0 or more."""
        return float(self._state.intensity[RIGHT])


class ContactPort(_Port):
    """The sense of touch."""

    __slots__ = ()

    @property
    def touching(self) -> bool:
        """Whether the vehicle touches a wall or an obstacle."""
        return bool(self._state.touching[0])


def make_ports(description: VehicleDescription, state: VehicleState) -> dict[str, _Port]:
    """All ports of the vehicle ``description``, by name, which show ``state``."""
    return {
        "wheels": WheelsPort(state, description.wheels.max_speed_rad_s),
        "pose": PosePort(state),
        "light": LightPort(state),
        "light_sensors": LightSensorsPort(state),
        "contact": ContactPort(state),
    }


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view
