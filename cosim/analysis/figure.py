# SPDX-License-Identifier: GPL-2.0-or-later
"""``figure.png``: a run on one page."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from cosim.analysis.results import RunData
from cosim.profile import STEP_PHASES

MAX_RASTER_SPIKES = 40_000
MAX_LEGEND = 8


def draw_run(data: RunData, path: Path) -> None:
    """Raster by population, sink voltages, what the body did, and step times, one above the other."""
    of_body = [panel for series, panel in BODY_PANELS.items() if series in data.body]
    panels = [draw_voltages, *of_body, draw_step_times]
    heights = [3, *[1] * (1 + len(of_body)), 1.2]
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
    """Spikes of all recorded populations, a lane of equal height for each, thinned to what a page can show."""
    recorded = [each for each in data.populations.values() if each.name in data.spikes]
    every = max(1, sum(data.spike_counts.values()) // MAX_RASTER_SPIKES)
    for lane, each in enumerate(recorded):
        spikes = data.spikes[each.name]
        height = lane + 0.05 + 0.9 * spikes.node_ids[::every] / each.size
        axis.plot(spikes.timestamps_ms[::every], height, linestyle="none", marker=".", markersize=1.5)
    axis.set_yticks(np.arange(len(recorded)) + 0.5, [each.name for each in recorded], fontsize=7)
    axis.set_ylim(max(1, len(recorded)), 0)
    axis.set_title(f"spikes, 1 of {every} drawn" if every > 1 else "spikes", loc="left", fontsize=9)


def draw_voltages(axis: Axes, data: RunData) -> None:
    """Voltage of every sink; the ones that vary most are named."""
    order = sorted(data.readout, key=lambda name: -np.ptp(data.readout[name]))
    for rank, name in enumerate(order):
        style = {"label": name} if rank < MAX_LEGEND else {"color": "0.8", "zorder": 0}
        axis.plot(data.exchange_time_ms, data.readout[name], linewidth=1, **style)
    axis.set_ylabel("sink voltage (mV)")
    _legend(axis)


def draw_activations(axis: Axes, data: RunData) -> None:
    """Activation of every muscle."""
    _draw_columns(axis, data, "muscle_activation")
    axis.set_ylabel("muscle activation")


def draw_tip(axis: Axes, data: RunData) -> None:
    """Movement of the tip since the first sample."""
    moved_mm = 1000 * (data.body["tip_position_m"] - data.body["tip_position_m"][:1])
    for name, values in zip("xyz", moved_mm.T, strict=True):
        axis.plot(data.body["time_ms"], values, linewidth=1, label=name)
    axis.set_ylabel("tip moved (mm)")
    _legend(axis)


def draw_wheels(axis: Axes, data: RunData) -> None:
    """Speed of every wheel of a vehicle."""
    _draw_columns(axis, data, "wheel_speed_rad_s")
    axis.set_ylabel("wheel speed (rad/s)")


def draw_light(axis: Axes, data: RunData) -> None:
    """What the light sensors of a vehicle see."""
    _draw_columns(axis, data, "light_intensity")
    axis.set_ylabel("light intensity")


def draw_step_times(axis: Axes, data: RunData) -> None:
    """Wall time of a step by phase: the longest rank in each phase."""
    phases = [name for name in STEP_PHASES if name in data.profile]
    times_ms = [1000 * data.profile[name].max(axis=0) for name in phases]
    for name, values in zip(phases, times_ms, strict=True):
        axis.semilogy(data.exchange_time_ms[: len(values)], np.maximum(values, 1e-3), linewidth=1, label=name)
    axis.set_ylabel("wall time\nof a phase (ms)")
    _legend(axis)


BODY_PANELS = {
    "muscle_activation": draw_activations,
    "tip_position_m": draw_tip,
    "wheel_speed_rad_s": draw_wheels,
    "light_intensity": draw_light,
}
"""What is drawn of a body, by the series that it needs."""


def _draw_columns(axis: Axes, data: RunData, series: str) -> None:
    for name, values in zip(data.columns(series), data.body[series].T, strict=True):
        axis.plot(data.body["time_ms"], values, linewidth=1, label=name)
    _legend(axis)


def _legend(axis: Axes) -> None:
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.05), frameon=False)
