# SPDX-License-Identifier: GPL-2.0-or-later
"""``figure.png``: a run on one page; and the panels that it and the report are made of.

A panel draws one aspect of a run into one axis. What a page cannot show is left out: rasters are thinned to
`MAX_RASTER_SPIKES` spikes, series to `MAX_POINTS` rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from cosim.devices.series import by_quantity, label
from cosim.results.run_data import RunData

MAX_RASTER_SPIKES = 40_000
MAX_POINTS = 20_000
MAX_LEGEND = 8
# Lines of one panel; of more, those that vary most are drawn.
MAX_LINES = 200
MAX_RETURNED = 100

Panel = Callable[[Axes, RunData], None]


def draw_run(data: RunData, path: Path) -> None:
    """Raster by population, sinks and sources, what the body did, and step times, one above the other."""
    of_body = [panel for series, panel in BODY_PANELS.items() if series in data.body]
    of_devices = [panel for _, _, panel in device_panels(data)]
    of_functions = [draw_returned] if data.returned else []
    panels = [*of_devices, *of_functions, *of_body, draw_step_times]
    heights = [3, *[1] * (len(panels) - 1), 1.2]
    figure, axes = plt.subplots(
        len(heights),
        1,
        figsize=(11, 2.1 * sum(heights)),
        height_ratios=heights,
        sharex=True,
        layout="constrained",
    )
    draw_raster(axes[0], data)
    for panel, axis in zip(panels, axes[1:], strict=True):
        panel(axis, data)
    axes[-1].set_xlabel("time (ms)")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_raster(axis: Axes, data: RunData) -> None:
    """Spikes of all recorded populations, a lane of equal height for each, thinned where there are many."""
    recorded = [each for each in data.populations.values() if each.name in data.spikes]
    every = max(1, sum(data.spike_counts.values()) // MAX_RASTER_SPIKES)
    for lane, each in enumerate(recorded):
        spikes = data.spikes[each.name]
        height = lane + 0.05 + 0.9 * spikes.node_ids[::every] / each.size
        axis.plot(spikes.timestamps_ms[::every], height, linestyle="none", marker=".", markersize=1.5)
    axis.set_yticks(np.arange(len(recorded)) + 0.5, [each.name for each in recorded], fontsize=7)
    axis.set_ylim(max(1, len(recorded)), 0)
    axis.set_title(f"spikes, 1 of {every} drawn" if every > 1 else "spikes", loc="left", fontsize=9)


def device_panels(data: RunData) -> Iterator[tuple[str, str, Panel]]:
    """What was exchanged: "sink" or "source", a quantity, and the panel of all that have this quantity and unit."""
    for what, devices in (("sink", data.sinks), ("source", data.sources)):
        kinds = dict.fromkeys((quantity, units) for quantity, units, _ in by_quantity(devices.values()))
        for quantity, units in kinds:
            yield what, quantity, partial(draw_devices, what, quantity, units)


def draw_devices(what: str, quantity: str, units: str, axis: Axes, data: RunData) -> None:
    """The sinks, or sources, of one quantity and unit; the ones that vary most are named.

    The value of a sink is of the end of a step, that of a source holds over a step.
    """
    devices = data.sinks if what == "sink" else data.sources
    meant = [each for each in devices.values() if (each.quantity, each.units) == (quantity, units)]
    columns = {name: (each, values) for each in meant for name, values in each.columns.items()}
    by_range = sorted(columns, key=lambda name: -np.nan_to_num(np.ptp(columns[name][1])))
    for rank, name in enumerate(by_range[:MAX_LINES]):
        style = {"label": name} if rank < MAX_LEGEND else {"color": "0.8", "zorder": 0}
        shape = "default" if what == "sink" else "steps-pre"
        device, values = columns[name]
        rows = _thin(values)
        time_ms = device.time_ms(data.exchange_time_ms)
        axis.plot(time_ms[rows], values[rows], linewidth=1, drawstyle=shape, **style)
    axis.set_ylabel(f"{what} {label(quantity, units)}")
    _legend(axis)


def draw_returned(axis: Axes, data: RunData) -> None:
    """What transfer functions returned; a point for each call. Drawn are those that vary most, of these some named."""
    rows, columns = _thin(data.exchange_time_ms), data.returned_columns
    for rank, name in enumerate(sorted(columns, key=lambda name: -_spread(columns[name]))[:MAX_RETURNED]):
        style = {"label": name} if rank < MAX_LEGEND else {"color": "0.8", "zorder": 0}
        called = np.isfinite(columns[name])
        times_ms, values = (each[called][rows] for each in (data.exchange_time_ms, columns[name]))
        axis.plot(times_ms, values, linewidth=1, marker=".", markersize=3, **style)
    axis.set_ylabel("returned by\ntransfer functions")
    _legend(axis)


def _spread(values: np.ndarray) -> float:
    """How far the numbers of a series that has gaps lie apart."""
    known = values[np.isfinite(values)]
    return float(np.ptp(known)) if known.size else 0.0


def draw_tip(axis: Axes, data: RunData) -> None:
    """Movement of the tip since the first sample."""
    rows = _thin(data.body["time_ms"])
    moved_mm = 1000 * (data.body["tip_position_m"] - data.body["tip_position_m"][:1])[rows]
    for name, values in zip("xyz", moved_mm.T, strict=True):
        axis.plot(data.body["time_ms"][rows], values, linewidth=1, label=name)
    axis.set_ylabel("tip moved (mm)")
    _legend(axis)


def draw_tip_path(axis: Axes, data: RunData) -> None:
    """Path of the tip, of a joystick for instance, in the plane of the two axes along which it moved most."""
    moved_mm = 1000 * (data.body["tip_position_m"] - data.body["tip_position_m"][:1])
    across, along = sorted(np.argsort(-np.ptp(moved_mm, axis=0))[:2])
    _draw_path(axis, data, moved_mm[:, across], moved_mm[:, along])
    axis.set(xlabel=f"{'xyz'[across]} moved (mm)", ylabel=f"{'xyz'[along]} moved (mm)")


def draw_way(axis: Axes, data: RunData) -> None:
    """Way of a vehicle seen from above, and where the light stood at the end."""
    _draw_path(axis, data, *data.body["position_m"][:, :2].T)
    if "light_position_m" in data.body:
        axis.plot(*data.body["light_position_m"][-1, :2], "*", color="gold", markeredgecolor="0.3", markersize=14)
    axis.set(xlabel="x (m)", ylabel="y (m)")


def _draw_path(axis: Axes, data: RunData, x: np.ndarray, y: np.ndarray) -> None:
    rows = _thin(data.body["time_ms"])
    points = axis.scatter(x[rows], y[rows], c=data.body["time_ms"][rows], s=3)
    axis.plot(x[0], y[0], "o", color="0.3", markersize=5, label="start")
    axis.set_aspect("equal", adjustable="datalim")
    axis.figure.colorbar(points, ax=axis, label="time (ms)")
    axis.legend(fontsize=7)


def draw_step_times(axis: Axes, data: RunData) -> None:
    """Wall time of a step by phase: the longest rank in each phase, and of thinned steps the longest one."""
    for name, times_s in data.profile.items():
        times_ms = 1000 * times_s.max(axis=0)
        starts = np.arange(0, len(times_ms), _thin(times_ms).step)
        longest_ms = np.maximum(np.maximum.reduceat(times_ms, starts), 1e-3)
        axis.semilogy(data.exchange_time_ms[starts], longest_ms, linewidth=1, label=name)
    axis.set_ylabel("wall time\nof a phase (ms)")
    _legend(axis)


def draw_columns(series: str, axis: Axes, data: RunData) -> None:
    """All columns of a series of the body."""
    rows = _thin(data.body["time_ms"])
    for name, values in zip(data.columns(series), data.body[series].T, strict=True):
        axis.plot(data.body["time_ms"][rows], values[rows], linewidth=1, label=name)
    axis.set_ylabel(label(*data.quantity(series)))
    _legend(axis)


BODY_PANELS: dict[str, Panel] = {
    "muscle_activation": partial(draw_columns, "muscle_activation"),
    "tip_position_m": draw_tip,
    "wheel_speed_rad_s": partial(draw_columns, "wheel_speed_rad_s"),
    "light_intensity": partial(draw_columns, "light_intensity"),
}
"""What ``figure.png`` shows of a body, by the series that it needs."""


def _thin(values: np.ndarray) -> slice:
    """Rows to draw: at most MAX_POINTS, evenly spaced."""
    return slice(None, None, max(1, -(-len(values) // MAX_POINTS)))


def _legend(axis: Axes) -> None:
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.05), frameon=False)
