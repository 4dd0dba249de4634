# SPDX-License-Identifier: GPL-2.0-or-later
"""The figure of ``cosim bench scaling``: panels of the kind of Figures 7 to 13 of Feldotto et al. 2022.

The published runs are grey, ours are coloured. A dashed line is linear scaling from our smallest number of
ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cosim.bench.energy import NOT_AVAILABLE

GREY, OURS = "0.65", "tab:red"
# Quantity, its name among the published ones, label, factor to the label's unit, how it scales with ranks.
QUANTITIES = (
    ("runtime_s", "runtime_s", "runtime (s)", 1.0, -1),
    ("real_time_factor", "real_time_factor", "real-time factor", 1.0, 1),
    ("build_s", "build_s", "create and connect (s)", 1.0, -1),
    ("last_step_s", "last_step_s", "Run of the last step (s)", 1.0, -1),
    ("memory_per_process_mb", "memory_per_process_gb", "memory of a process (GB)", 1e-3, -1),
    ("energy_j", "energy_kj", "energy (kJ)", 1e-3, 1),
    ("node_hours", "node_hours", "node-hours", 1.0, 1),
)
PROFILES = {
    "brain_step_s": "brain in a step (s)",
    "body_step_s": "body in a step (s)",
    "transfer_s": "neither of them in a step (s)",
}


def draw(result: dict[str, Any]) -> Figure:
    """Quantities by number of processes, shares of brain and body, and profiles by step."""
    figure, axes = plt.subplots(4, 3, figsize=(13, 14), layout="constrained")
    places = iter(axes.flat)
    for quantity in QUANTITIES:
        draw_quantity(next(places), result, *quantity)
    draw_shares(next(places), result)
    draw_phases(next(places), result)
    for name, label in PROFILES.items():
        draw_profile(next(places), result, name, label)
    figure.suptitle(_title(result))
    return figure


def _title(result: dict[str, Any]) -> str:
    totals = next(iter(result["by_ranks"].values()))["totals"]
    ours = f"{result['experiment']}, {totals['neurons']:,} neurons, {totals['synapses']:,} synapses"
    paper = result["published"]
    if not paper:
        return ours
    return f"{ours}\ngrey: {paper['title']}, {paper['connections']:,} connections (Feldotto et al. 2022)"


def _ranks(result: dict[str, Any]) -> list[int]:
    return [int(ranks) for ranks in result["by_ranks"]]


def draw_quantity(
    axis: Axes, result: dict[str, Any], name: str, published: str, label: str, factor: float, power: int
) -> None:
    """Medians, bars from lowest to highest; logarithmic, as ours and published sizes differ widely."""
    paper, ranks = result["published"], _ranks(result)
    if paper:
        middle, low, high = (paper[published][part] for part in ("mean", "min", "max"))
        _points(axis, paper["processes"], middle, low, high, GREY)
    if name == "real_time_factor" and paper:
        without = paper["real_time_factor_without_coupling"]
        axis.plot(paper["processes"], without, ":", color=GREY, label="published, without coupling")
    if name == "real_time_factor":
        as_published = [each["real_time_factor_of_paper"]["median"] for each in result["by_ranks"].values()]
        axis.plot(ranks, as_published, "x", color=OURS, label="without the first step, as published")
        axis.legend(fontsize=7, frameon=False)
    values = [each[name] for each in result["by_ranks"].values()]
    if NOT_AVAILABLE in values:
        axis.text(0.5, 0.5, NOT_AVAILABLE, transform=axis.transAxes, ha="center", color=OURS)
    else:
        middle, low, high = ([factor * each[part] for each in values] for part in ("median", "min", "max"))
        _points(axis, ranks, middle, low, high, OURS)
        start = factor * values[0]["median"]
        axis.plot(ranks, [start * (each / ranks[0]) ** power for each in ranks], "--", color=OURS, linewidth=0.8)
    _label_ranks(axis, result)
    axis.set_yscale("log")
    axis.set_ylabel(label)


def _points(
    axis: Axes,
    x: Sequence[int],
    middle: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    color: str,
) -> None:
    axis.vlines(x, low, high, color=color)
    axis.plot(x, middle, "o-", color=color, markersize=4)


def _label_ranks(axis: Axes, result: dict[str, Any]) -> None:
    paper = result["published"]
    ticks = sorted({*_ranks(result), *(paper["processes"] if paper else ())})
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [str(each) for each in ticks])
    axis.set_xlabel("brain ranks, NEST processes")


def draw_shares(axis: Axes, result: dict[str, Any]) -> None:
    """Share of the brain in brain and body, each by the mean time of a step."""
    paper = result["published"]
    if paper:
        steps = zip(paper["brain_step_s"]["mean"], paper["body_step_s"]["mean"], strict=True)
        axis.plot(paper["processes"], [_share(*each) for each in steps], "o-", color=GREY, markersize=4)
    ours = result["by_ranks"].values()
    shares = [_share(each["brain_step_s"]["median"], each["body_step_s"]["median"]) for each in ours]
    axis.plot(_ranks(result), shares, "o-", color=OURS, markersize=4)
    axis.axhline(50, color="0.8", linewidth=0.8)
    axis.set_ylim(0, 105)
    axis.set_ylabel("brain of brain and body (%)")
    _label_ranks(axis, result)


def _share(brain_s: float, body_s: float) -> float:
    return 100 * brain_s / (brain_s + body_s)


def draw_phases(axis: Axes, result: dict[str, Any]) -> None:
    """Where the runtime of ours goes, one on top of the other."""
    for place, each in enumerate(result["by_ranks"].values()):
        bottom = 0.0
        for number, name in enumerate(("create_s", "connect_s", "prepare_s", "loop_s")):
            label = name.removesuffix("_s") if place == 0 else None
            axis.bar(place, each[name]["median"], 0.6, bottom, color=f"C{number}", label=label)
            bottom += each[name]["median"]
        rest = max(each["runtime_s"]["median"] - bottom, 0.0)
        axis.bar(place, rest, 0.6, bottom, color="0.85", label="start, files, figures" if place == 0 else None)
    axis.set_xticks(range(len(result["by_ranks"])), list(result["by_ranks"]))
    axis.set_xlabel("brain ranks")
    axis.set_ylabel("runtime (s)")
    axis.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def draw_profile(axis: Axes, result: dict[str, Any], name: str, label: str) -> None:
    """Time by step of the first repetition; of the published runs repetition 4, as the paper shows it."""
    paper = result["published"]
    for profile in (paper["profile"] if paper else {}).values():
        axis.plot(range(1, 50), profile[name][1:], color=GREY, linewidth=0.7)
    for number, (ranks, each) in enumerate(result["by_ranks"].items()):
        values = each["profile"][name][1:]
        axis.plot(range(1, 1 + len(values)), values, color=f"C{number}", linewidth=1, label=f"{ranks} brain ranks")
    axis.set_yscale("log")
    axis.set_xlabel("step (the first is left out)")
    axis.set_ylabel(label)
    axis.legend(fontsize=7, frameon=False)
