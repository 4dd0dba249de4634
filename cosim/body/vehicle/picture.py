# SPDX-License-Identifier: GPL-2.0-or-later
"""``body.png`` of a vehicle: the room from above with the way that it took, and the vehicle at the end."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cosim.analysis.results import RunData
from cosim.body.vehicle.description import Start, VehicleDescription
from cosim.body.vehicle.engine import VehicleEngine

# Width and height in pixels of the picture of the vehicle.
PICTURE_SIZE = (800, 600)
# The way is drawn through this many points.
WAY_POINTS = 2000


def draw_run(path: Path, description: VehicleDescription, run: RunData) -> None:
    """Write a picture file of a run of at least one step."""
    figure = Figure(figsize=(12.5, 5.6), layout="constrained")
    above, end = figure.subplots(1, 2, width_ratios=[1.1, 1.0])
    _draw_room(above, description)
    way = _draw_way(above, run)
    figure.colorbar(way, ax=above, label="time (s)", shrink=0.7)
    end.imshow(_picture(description, run))
    end.set_title(f"at {run.body['time_ms'][-1] / 1000:g} s")
    end.set_axis_off()
    figure.savefig(path, dpi=110)


def _draw_room(axis: Axes, description: VehicleDescription) -> None:
    side_m = description.room.side_m
    half_m = side_m / 2
    axis.add_patch(Rectangle((-half_m, -half_m), side_m, side_m, fill=False, linewidth=3, color="0.4"))
    for box in description.obstacles:
        size_m = np.array(box.size_m[:2])
        axis.add_patch(Rectangle(box.position_m - size_m / 2, *size_m, angle=np.degrees(box.heading_rad),
                                 rotation_point="center", color="0.65"))
    axis.set(xlim=(-half_m, half_m), ylim=(-half_m, half_m), aspect="equal", xlabel="x (m)", ylabel="y (m)")


def _draw_way(axis: Axes, run: RunData):
    """The way, coloured by time, start and end, and where the light stood at the end."""
    every = max(1, len(run.body["time_ms"]) // WAY_POINTS)
    position_m, time_s = run.body["position_m"][::every], run.body["time_ms"][::every] / 1000
    way = axis.scatter(position_m[:, 0], position_m[:, 1], c=time_s, s=4, zorder=2)
    axis.plot(*run.body["light_position_m"][-1, :2], "*", color="gold", markeredgecolor="0.3", markersize=18)
    axis.annotate("start", position_m[0, :2], textcoords="offset points", xytext=(6, 6))
    axis.annotate("end", run.body["position_m"][-1, :2], textcoords="offset points", xytext=(6, -14))
    return way


def _picture(description: VehicleDescription, run: RunData) -> np.ndarray:
    """The vehicle and the light where the run ended."""
    x, y, _ = run.body["position_m"][-1].tolist()
    there = Start(position_m=(x, y), heading_rad=float(run.body["heading_rad"][-1, 0]))
    light = description.light.model_copy(update={"position_m": run.body["light_position_m"][-1].tolist()})
    engine = VehicleEngine(description.model_copy(update={"start": there, "light": light}), step_s=0.001)
    try:
        return engine.picture(*PICTURE_SIZE)
    finally:
        engine.close()
