# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures of a report's page, as PNG files in memory: one for each aspect, with a panel for each run."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cosim.devices.series import label
from cosim.results.run_data import RunData
from cosim.show import figure as panels
from cosim.show.figure import Panel, plt

COLUMNS = 3
DPI = 100
MOST_HEIGHT = 24.0
FIRST_SERIES = ("muscle_activation", "joint_angle_rad", "light_intensity", "wheel_speed_rad_s")


class Figure(NamedTuple):
    """A PNG file with its heading and a line that says what it shows."""

    title: str
    caption: str
    png: bytes


class Aspect(NamedTuple):
    """One thing that is drawn of every run that has it; ``height`` is in inches."""

    title: str
    caption: str
    panel: Panel
    height: float = 2.6
    is_shared: bool = True
    """Whether all runs have the same scale."""
    is_over_time: bool = True


def figures(runs: Sequence[dict[str, Any]]) -> Iterator[Figure]:
    """All that the runs have to show; runs without a step have nothing."""
    data = {number: RunData(run["folder"]) for number, run in enumerate(runs, 1) if run["steps"]}
    if not data:
        return
    yield _rates(runs)
    shown: dict[str, dict[int, Aspect]] = {}
    for number, run in data.items():
        for aspect in _aspects(run):
            shown.setdefault(aspect.title, {})[number] = aspect
    for aspects in shown.values():
        highest = max(aspects.values(), key=lambda aspect: aspect.height)
        yield _side_by_side(highest, {number: data[number] for number in aspects}, named=len(runs) > 1)
    yield _phases(data)


def _aspects(run: RunData) -> Iterator[Aspect]:
    """What there is to draw of a run."""
    if any(run.spike_counts.values()):
        most = f"{panels.MAX_RASTER_SPIKES:,}"
        caption = f"A lane for each population; of more than {most} spikes only every n-th is drawn."
        height = min(max(1.5 + 0.16 * len(run.spikes), 3.0), MOST_HEIGHT)
        yield Aspect("Spikes", caption, panels.draw_raster, height, is_shared=False)
    named = f"the {panels.MAX_LEGEND} that vary most are named."
    captions = {"sink": f"At the end of each step; {named}", "source": f"What acted in each step; {named}"}
    for what, quantity, panel in panels.device_panels(run):
        yield Aspect(f"{quantity[0].upper()}{quantity[1:]}s of spike {what}s", captions[what], panel)
    if run.returned:
        most = f"at most {panels.MAX_RETURNED} series are drawn; {named}"
        caption = f"At the end of each step in which a function was called; {most}"
        yield Aspect("What transfer functions returned", caption, panels.draw_returned, is_shared=False)
    yield from _aspects_of_body(run)
    caption = "Longest rank in each phase."
    yield Aspect("Wall time of steps", caption, panels.draw_step_times, height=3.0)


def _aspects_of_body(run: RunData) -> Iterator[Aspect]:
    if "tip_position_m" in run.body:
        caption = "In the plane of the two axes along which it moved most."
        yield Aspect("Path of the tip", caption, panels.draw_tip_path, 4.0, is_shared=False, is_over_time=False)
        yield Aspect("Movement of the tip", "Since the first sample.", panels.draw_tip)
    if "position_m" in run.body:
        caption = "From above; the star is the light at the end."
        yield Aspect("Way of the vehicle", caption, panels.draw_way, 4.0, is_shared=False, is_over_time=False)
    for series in sorted(run.body, key=lambda name: name not in FIRST_SERIES):
        # What never changed has nothing to show.
        if series not in ("time_ms", "tip_position_m") and np.ptp(run.body[series], axis=0).any():
            name = label(*run.quantity(series))
            yield Aspect(name[0].upper() + name[1:], "", partial(panels.draw_columns, series))


def _side_by_side(aspect: Aspect, data: dict[int, RunData], named: bool) -> Figure:
    columns = min(len(data), COLUMNS)
    rows = -(-len(data) // columns)
    size = (11.0 if columns == 1 else 5.8 * columns, aspect.height * rows)
    shared = aspect.is_shared
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=shared, layout="constrained")
    for axis, (number, run) in zip(axes.flat, data.items(), strict=False):
        aspect.panel(axis, run)
        if aspect.is_over_time:
            axis.set_xlabel("time (ms)")
        if named:
            axis.set_title(f"run {number}", fontsize=9)
    for axis in axes.flat[len(data) :]:
        axis.set_axis_off()
    return Figure(aspect.title, aspect.caption, _png(figure))


def _rates(runs: Sequence[dict[str, Any]]) -> Figure:
    """Bars for all runs in one axis."""
    names = list(dict.fromkeys(name for run in runs for name in run["populations"]))
    height = min(1.2 + 0.1 * max(len(names), 8) * (1 + min(len(runs), 4)), MOST_HEIGHT)
    figure, axis = plt.subplots(figsize=(11, height), layout="constrained")
    thickness = 0.8 / len(runs)
    for number, run in enumerate(runs):
        rates_hz = [run["populations"].get(name, {}).get("mean_rate_hz", 0.0) for name in names]
        axis.barh(np.arange(len(names)) + thickness * number, rates_hz, thickness, label=f"run {number + 1}")
    axis.set_yticks(np.arange(len(names)) + thickness * (len(runs) - 1) / 2, names, fontsize=7)
    axis.margins(y=0.01)
    axis.invert_yaxis()
    axis.set_xlabel("mean rate (Hz)")
    if len(runs) > 1:
        axis.legend(fontsize=8)
    return Figure("Rates", "Spikes per recorded neuron and second, over the whole run.", _png(figure))


def _phases(data: dict[int, RunData]) -> Figure:
    """Two bars for each run, from the first phase to the last: body rank, and mean of the brain ranks."""
    sides = {"body rank": slice(0, 1), "brain ranks": slice(1, None)}
    bars = [(number, side, _mean_step(run, ranks)) for number, run in data.items() for side, ranks in sides.items()]
    totals_ms = np.array([sum(phases.values()) for _, _, phases in bars])
    names = [
        (f"run {number}, " if len(data) > 1 else "") + f"{side}: {_three_digits(total_ms)} ms"
        for (number, side, _), total_ms in zip(bars, totals_ms, strict=True)
    ]
    figure, axis = plt.subplots(figsize=(11, 1.6 + 0.4 * len(bars)), layout="constrained")
    left = np.zeros(len(bars))
    for phase in dict.fromkeys(phase for _, _, phases in bars for phase in phases):
        widths = 100 * np.array([phases.get(phase, 0.0) for _, _, phases in bars]) / totals_ms
        axis.barh(range(len(bars)), widths, left=left, label=phase)
        left += widths
    axis.set_yticks(range(len(bars)), names)
    axis.invert_yaxis()
    axis.set_xlabel("share of the wall time of a step (%)")
    axis.legend(fontsize=7, ncols=2, loc="upper left", bbox_to_anchor=(1.0, 1.05), frameon=False)
    caption = "Mean over steps and ranks. Brain and body advance together, and who is done first waits."
    return Figure("The mean step by phase", caption, _png(figure))


def _three_digits(value: float) -> str:
    return np.format_float_positional(value, precision=3, fractional=False, trim="-")


def _mean_step(run: RunData, ranks: slice) -> dict[str, float]:
    """Wall time in ms of each phase."""
    return {phase: 1000 * float(times_s[ranks].mean()) for phase, times_s in run.profile.items()}


def _png(figure: plt.Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    plt.close(figure)
    return buffer.getvalue()
