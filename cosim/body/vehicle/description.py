# SPDX-License-Identifier: GPL-2.0-or-later
"""A vehicle in a room as one readable file (TOML, SI units); `models/husky/body.toml` states the conventions.

The vehicle itself is a URDF file; the rest is said here: wheels, room, obstacles, a light, two light sensors.
`cosim.body.kinds.load` reads such a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pybullet_data
from pydantic import AfterValidator, Field

from cosim.body.kind import Description
from cosim.body.parts import NonNegative, Number, Part, Positive, Vector
from cosim.body.vehicle import urdf


def _unit(direction: tuple[float, float, float]) -> tuple[float, float, float]:
    length = float(np.linalg.norm(direction))
    if length == 0.0:
        raise ValueError("a direction must not be 0, 0, 0")
    x, y, z = (float(each) / length for each in direction)
    return x, y, z


Place = tuple[Number, Number]
Direction = Annotated[Vector, AfterValidator(_unit)]
JointNames = Annotated[tuple[str, ...], Field(min_length=1)]


class StartPose(Part):
    """Where the vehicle stands at the start; heading 0 looks along x, counter-clockwise positive."""

    position_m: Place = (0.0, 0.0)
    heading_rad: Number = 0.0


class Wheels(Part):
    """Joints of the wheels of both sides; each has a motor that holds a speed with at most this torque."""

    left: JointNames
    right: JointNames
    max_torque_N_m: Positive
    max_speed_rad_s: Positive


class Room(Part):
    """A square floor about the origin, with a wall along each side."""

    side_m: Positive
    wall_height_m: Positive
    floor_friction: Positive


class Obstacle(Part):
    """A box that stands on the floor and never moves."""

    position_m: Place
    size_m: tuple[Positive, Positive, Positive]
    heading_rad: Number = 0.0


class Light(Part):
    """A lamp: what a sensor sees of it is said in `cosim.body.vehicle.light`."""

    position_m: Vector
    brightness: NonNegative
    radius_m: Positive


class LightSensor(Part):
    """Where a light sensor sits and where it looks, in the frame of the vehicle (x ahead, y left)."""

    position_m: Vector
    direction: Direction


class LightSensors(Part):
    """The two eyes."""

    left: LightSensor
    right: LightSensor


class VehicleDescription(Description):
    """A whole vehicle and its room."""

    kind: Literal["vehicle"]
    name: str
    urdf: str
    start: StartPose = StartPose()
    wheels: Wheels
    room: Room
    obstacles: tuple[Obstacle, ...] = ()
    light: Light
    light_sensors: LightSensors

    @property
    def urdf_file(self) -> Path:
        """An absolute path, or one below PyBullet's own folder of models (``pybullet_data``)."""
        return Path(pybullet_data.getDataPath()) / self.urdf

    def problems(self) -> list[str]:
        """What is wrong with how the parts refer to each other; empty when nothing is."""
        return [*_urdf_problems(self), *_room_problems(self)]


def _urdf_problems(description: VehicleDescription) -> Iterator[str]:
    file = description.urdf_file
    if not file.is_file():
        yield f"urdf = {description.urdf!r}: there is no file {file}"
        return
    try:
        known = urdf.wheel_joints(file)
        urdf.with_inertias(file)  # refused here, not when the body starts
    except ValueError as error:
        yield f"urdf = {description.urdf!r}: {file}: {error}"
        return
    for side in ("left", "right"):
        for name in getattr(description.wheels, side):
            if name not in known:
                yield f"wheels.{side}: no wheel {name!r} in {file}; there are {', '.join(known) or 'none'}"


def _room_problems(description: VehicleDescription) -> Iterator[str]:
    half_m = description.room.side_m / 2
    for where, place in (("start", description.start.position_m), ("light", description.light.position_m)):
        if max(abs(place[0]), abs(place[1])) >= half_m:
            allowed = f"x and y must lie between -{half_m:g} and {half_m:g} m"
            yield f"{where}.position_m = {list(place)}: outside the room, {allowed}"
