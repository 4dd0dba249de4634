# SPDX-License-Identifier: GPL-2.0-or-later
"""``body.png`` of a vehicle, the room from above with the way that it took; and films."""

from collections.abc import Generator, Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pybullet
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cosim.body.rotation import matrix_from_rpy
from cosim.body.vehicle.description import VehicleDescription
from cosim.body.vehicle.engine import LIGHT_COLOUR, VehicleEngine
from cosim.results.run_data import RunData
from cosim.show.bodies.camera import Camera, Layer, aim
from cosim.show.bodies.pictures import Film, Pictures

# A film is seen from this side, at a slant; a narrow view keeps proportions true.
VIEW_FROM = (0.0, -1.0, 1.0)
FIELD_OF_VIEW_DEG = 30.0
MARGIN = 1.08
STEP_S = 0.001  # nothing is simulated
# What a film needs.
RECORDED = ("position_m", "heading_rad", "wheel_speed_rad_s", "light_position_m", "light_brightness")
# Width and height in pixels of the picture of the vehicle.
PICTURE_SIZE = (800, 600)
# The way is drawn through this many points.
WAY_POINTS = 2000
DARK = 0.2  # what is left of the colour of a light that is out


def draw_run(path: Path, description: VehicleDescription, run: RunData) -> None:
    """Write a picture file of a run of at least one step."""
    figure = Figure(figsize=(12.5, 5.6), layout="constrained")
    above, end = figure.subplots(1, 2, width_ratios=[1.1, 1.0])
    _draw_room(above, description)
    way = _draw_way(above, run)
    figure.colorbar(way, ax=above, label="time (s)", shrink=0.7)
    end.imshow(_end(description, run))
    end.set_title(f"at {run.body['time_ms'][-1] / 1000:g} s")
    end.set_axis_off()
    figure.savefig(path, dpi=110)


def _draw_room(axis: Axes, description: VehicleDescription) -> None:
    side_m = description.room.side_m
    half_m = side_m / 2
    axis.add_patch(Rectangle((-half_m, -half_m), side_m, side_m, fill=False, linewidth=3, color="0.4"))
    for box in description.obstacles:
        (x_m, y_m), (length_m, width_m, _) = box.position_m, box.size_m
        axis.add_patch(
            Rectangle(
                (x_m - length_m / 2, y_m - width_m / 2),
                length_m,
                width_m,
                angle=np.degrees(box.heading_rad),
                rotation_point="center",
                color="0.65",
            )
        )
    axis.set(xlim=(-half_m, half_m), ylim=(-half_m, half_m), aspect="equal", xlabel="x (m)", ylabel="y (m)")


def _draw_way(axis: Axes, run: RunData):
    """The way, coloured by time, start and end, and where the light stood at the end."""
    every = max(1, len(run.body["time_ms"]) // WAY_POINTS)
    position_m, time_s = run.body["position_m"][::every], run.body["time_ms"][::every] / 1000
    way = axis.scatter(position_m[:, 0], position_m[:, 1], c=time_s, s=4, zorder=2)
    axis.plot(*run.body["light_position_m"][-1, :2], "*", color="gold", markeredgecolor="0.3", markersize=18)
    axis.annotate("start", tuple(position_m[0, :2]), textcoords="offset points", xytext=(6, 6))
    axis.annotate("end", tuple(run.body["position_m"][-1, :2]), textcoords="offset points", xytext=(6, -14))
    return way


def _end(description: VehicleDescription, run: RunData) -> np.ndarray:
    """The vehicle and the light where the run ended, from behind and above."""
    position_m, light_m = (run.body[name][-1] for name in ("position_m", "light_position_m"))
    moment = Moment(position_m, float(run.body["heading_rad"][-1, 0]), np.zeros(2), light_m, 1.0)
    turn = matrix_from_rpy((0.0, 0.0, moment.heading_rad))
    eye, focus = moment.position_m + turn @ [-3.0, 1.5, 2.2], moment.position_m + [0.0, 0.0, 0.2]
    scene = Scene(description, Camera(eye, focus, 50.0, *PICTURE_SIZE))
    try:
        return scene.picture(moment)
    finally:
        scene.close()


def film(description: VehicleDescription, run: RunData, rows: np.ndarray, width: int, height: int) -> Film:
    """The vehicle at some ``rows`` of the series of ``run``; all of its way and the light are in view.

    Raises ValueError where the series are not those of a vehicle.
    """
    missing = [name for name in RECORDED if name not in run.body]
    if missing:
        there_is = ", ".join(run.body)
        raise ValueError(f"no {', '.join(missing)} was recorded, as is of a vehicle; there is {there_is}")
    return Film(_pictures(description, run, rows, width, height), None)


def _pictures(
    description: VehicleDescription, run: RunData, rows: np.ndarray, width: int, height: int
) -> Generator[np.ndarray]:
    points_m = _outline(description, run, rows)
    scene = Scene(description, aim(points_m, VIEW_FROM, FIELD_OF_VIEW_DEG, MARGIN, width, height))
    try:
        yield from map(scene.picture, _moments(run, rows))
    finally:
        scene.close()


class Moment(NamedTuple):
    """What a picture shows; the light is dark at level 0, and as bright as it ever is in the run at 1."""

    position_m: np.ndarray
    heading_rad: float
    wheels_rad: np.ndarray
    light_m: np.ndarray
    light_level: float


def _moments(run: RunData, rows: np.ndarray) -> Iterator[Moment]:
    body = run.body
    # Angles of wheels are not recorded, but their speeds are.
    step_s = np.diff(body["time_ms"], prepend=0.0) / 1000
    wheels_rad = np.cumsum(body["wheel_speed_rad_s"] * step_s[:, np.newaxis], axis=0)
    brightness = body["light_brightness"][:, 0]
    level = brightness / max(brightness.max(), np.finfo(float).tiny)
    for row in rows:
        yield Moment(
            body["position_m"][row],
            float(body["heading_rad"][row, 0]),
            wheels_rad[row],
            body["light_position_m"][row],
            float(level[row]),
        )


def _outline(description: VehicleDescription, run: RunData, rows: np.ndarray) -> np.ndarray:
    """Corners (n, 3) of boxes around vehicle and light at each of ``rows``."""
    engine = StillVehicle(description)
    side_m, height_m = engine.reach_m()
    engine.close()
    signs = np.array(list(product((-1.0, 1.0), repeat=3)))
    vehicle = signs * [side_m, side_m, height_m / 2] + [0.0, 0.0, height_m / 2]
    light = description.light.radius_m * signs
    return np.concatenate(
        [
            run.body[name][row] + box
            for row in rows
            for name, box in (("position_m", vehicle), ("light_position_m", light))
        ]
    )


class StillVehicle(VehicleEngine):
    """The vehicle and its room for pictures: things are put where they shall be seen, nothing is simulated."""

    def __init__(self, description: VehicleDescription) -> None:
        super().__init__(description, STEP_S)

    def place(
        self,
        position_m: np.ndarray,
        heading_rad: float,
        wheels_rad: np.ndarray,
        light_m: np.ndarray,
        light_level: float,
    ) -> None:
        """Put vehicle and light where a picture shall show them; the light is dark at level 0, full at 1.

        ``position_m`` and ``light_m`` (3,), ``wheels_rad`` (2,) left and right.
        """
        here = {"physicsClientId": self._client}
        turn = pybullet.getQuaternionFromEuler([0.0, 0.0, heading_rad])
        pybullet.resetBasePositionAndOrientation(self._robot, position_m, turn, **here)
        for joints, angle_rad in zip((self._left, self._right), wheels_rad, strict=True):
            for joint in joints:
                pybullet.resetJointState(self._robot, joint, angle_rad, **here)
        pybullet.resetBasePositionAndOrientation(self._light, light_m, (0.0, 0.0, 0.0, 1.0), **here)
        shade = DARK + (1.0 - DARK) * light_level
        colour = [*(shade * each for each in LIGHT_COLOUR[:3]), 1.0]
        pybullet.changeVisualShape(self._light, -1, rgbaColor=colour, **here)

    def reach_m(self) -> tuple[float, float]:
        """How far from its middle the vehicle extends to any side, at most, and how high it is."""
        joints = range(-1, pybullet.getNumJoints(self._robot, physicsClientId=self._client))
        boxes = [pybullet.getAABB(self._robot, i, physicsClientId=self._client) for i in joints]
        away = np.abs(np.array(boxes) - self.pose()[0]).max(axis=(0, 1))
        return float(np.hypot(away[0], away[1])), float(away[2])

    def remove_room(self) -> None:
        """Leave vehicle and light alone."""
        self._remove([*self._solids, self._floor])

    def remove_vehicle(self) -> None:
        """Leave the room alone, without light."""
        self._remove([self._robot, self._light])

    def look(self, camera: Camera) -> Layer:
        """What ``camera`` sees; its lengths are in m."""
        return camera.look(self._client, (0.1, 50.0 + camera.distance), lightDirection=[2.0, 1.0, 6.0])

    def _remove(self, bodies: list[int]) -> None:
        for body in bodies:
            pybullet.removeBody(body, physicsClientId=self._client)


class Scene:
    """Draws the vehicle in its room with a camera that stands still; the room is drawn once."""

    def __init__(self, description: VehicleDescription, camera: Camera) -> None:
        self._camera = camera
        room = StillVehicle(description)
        room.remove_vehicle()
        self._room = room.look(camera)
        room.close()
        self._engine = StillVehicle(description)
        self._engine.remove_room()

    def picture(self, moment: Moment) -> np.ndarray:
        """Picture (height, width, 3) uint8."""
        self._engine.place(*moment)
        return self._camera.picture(self._room.behind(self._engine.look(self._camera)))

    def close(self) -> None:
        """Leave the PyBullet world; nothing can be drawn any more."""
        self._engine.close()


PICTURES = Pictures(draw_run, film, film_speed=1.0)
