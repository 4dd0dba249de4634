# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim bench coupling``: what our loop costs beyond NEST without interruption.

On the side of the loop everything of a run is counted: all sinks and sources, transfer functions, body,
spikes of all recorded populations written to disk until the last one is there. The other side is the same
network with the same devices on the same brain ranks in one call of ``Run``, with the same spikes. A second ratio
compares with one ``Run`` of the network whose smallest delay no coupling step has changed. See
``cosim.bench.coupling_worker`` for how the sides are made comparable.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cosim.bench import launch, machine, sinks
from cosim.bench.coupling_worker import NO_STEP
from cosim.bench.output import make_folder, publish
from cosim.bench.split import Split, split
from cosim.bench.spread import spread, text
from cosim.errors import ConfigurationError
from cosim.record.profile import RUN_PHASES
from cosim.timegrid import is_multiple

QUANTITIES = (
    "coupling_us",
    "coupling_mean_us",
    "coupling_fraction",
    "run_us",
    "record_us",
    "body_us",
    "transfer_us",
)
COLUMNS = (
    "coupling step",
    "to uninterrupted Run",
    "to its own min_delay",
    "coupling (us)",
    "recording (us)",
    "body (us)",
    "spikes",
)


def main(options: argparse.Namespace) -> int:
    """Measure, write, print; returns the exit code.

    Raises:
        ConfigurationError: arguments that do not fit together.
        WorkerFailed: the MPI job did not end well.
    """
    here = machine.describe()
    check_times(options)
    ranks = split(options)
    devices = [sinks.override(options.experiment, ranks.overrides, options.sinks)] if options.sinks else []
    request = {
        "experiment": options.experiment,
        "overrides": [*ranks.overrides, *devices],
        "steps_ms": options.steps_ms,
        "simulate_ms": options.simulate_ms,
        "warm_up_ms": options.warm_up_ms,
        "repetitions": options.repetitions,
        "out": str(make_folder(options.out)),
    }
    measured = launch.work("coupling", request, 1 + ranks.ranks, ranks.threads)
    result = summarize(options, ranks, measured)
    return publish(options, here, result, COLUMNS, rows(result), draw)


def check_times(options: argparse.Namespace) -> None:
    """Every coupling step must divide the simulated time.

    Raises:
        ConfigurationError: with the first that does not.
    """
    for step_ms in options.steps_ms:
        if step_ms <= 0 or not is_multiple(options.simulate_ms, step_ms):
            raise ConfigurationError(
                f"--steps-ms {step_ms:g}: must be positive and divide --simulate-ms = {options.simulate_ms:g}"
            )
    if options.warm_up_ms <= 0:
        raise ConfigurationError(f"--warm-up-ms {options.warm_up_ms:g}: must be positive")


def summarize(options: argparse.Namespace, ranks: Split, measured: dict[str, Any]) -> dict[str, Any]:
    """The content of the JSON file; numbers without a step length are those of the first one."""
    by_step = {f"{step:g}": of_step(step, measured["blocks"]) for step in options.steps_ms}
    ratios = {step: each["ratio_to_uninterrupted"] for step, each in by_step.items()}
    first = next(iter(by_step.values()))
    return {
        **ranks.told(options),
        "simulated_ms": options.simulate_ms,
        "warm_up_ms": options.warm_up_ms,
        "ratio_to_uninterrupted": {step: ratio["median"] for step, ratio in ratios.items()},
        "ratio_to_uninterrupted_min": {step: ratio["min"] for step, ratio in ratios.items()},
        "ratio_to_uninterrupted_max": {step: ratio["max"] for step, ratio in ratios.items()},
        "coupling_us_per_step": first["coupling_us"]["median"],
        "body_us_per_step": first["body_us"]["median"],
        "record_us_per_step": first["record_us"]["median"],
        "coupling_fraction": first["coupling_fraction"]["median"],
        "untouched_min_delay_ms": uninterrupted(NO_STEP, measured["blocks"])[0]["min_delay_ms"],
        "uninterrupted_s": spread([each["seconds"] for each in uninterrupted(NO_STEP, measured["blocks"]).values()]),
        "by_step_ms": by_step,
        "network": measured["network"],
        "memory_growth_mb": max(each["growth_mb"] for each in measured["blocks"] if each["in_loop"]),
        "peak_memory_mb": measured["peak_memory_mb"],
    }


def uninterrupted(step_ms: float, blocks: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """The block of each repetition without coupling, of the network for coupling steps of ``step_ms``."""
    return {each["repetition"]: each for each in blocks if each["step_ms"] == step_ms and not each["in_loop"]}


def of_step(step_ms: float, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over repetitions for one coupling step; a block is compared with that of its repetition."""
    plain, untouched = (uninterrupted(step, blocks) for step in (step_ms, NO_STEP))
    ours = [each for each in blocks if each["step_ms"] == step_ms and each["in_loop"]]
    ratios = {
        name: spread([each["seconds"] / others[each["repetition"]]["seconds"] for each in ours])
        for name, others in (("ratio_to_uninterrupted", plain), ("ratio_to_untouched_min_delay", untouched))
    }
    spikes = [(each["spikes"], plain[each["repetition"]]["spikes"]) for each in ours]
    middle = sorted(ours, key=lambda each: each["coupling_us"])[len(ours) // 2]
    return {
        "min_delay_ms": ours[0]["min_delay_ms"],
        **ratios,
        "spikes": spread([own for own, _ in spikes]),
        "same_spikes": all(own == other for own, other in spikes),
        **{name: spread([each[name] for each in ours]) for name in QUANTITIES},
        "phases_us": middle["phases_us"],
    }


def rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """One for each coupling step."""
    for step, each in result["by_step_ms"].items():
        numbers = (text(each[name], ".0f") for name in ("coupling_us", "record_us", "body_us"))
        ratios = (text(each[f"ratio_to_{name}"], ".3f") for name in ("uninterrupted", "untouched_min_delay"))
        yield f"{step} ms", *ratios, *numbers, "the same" if each["same_spikes"] else "NOT the same"


def draw(result: dict[str, Any]) -> Figure:
    """Ratio to the uninterrupted Run, and where the coupling time of a step goes, by coupling step."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    draw_ratios(left, result)
    draw_phases(right, result)
    figure.suptitle(f"{result['experiment']}: {result['brain_ranks']} brain ranks x {result['threads_per_brain_rank']}")
    return figure


def draw_ratios(axis: Axes, result: dict[str, Any]) -> None:
    """Medians with bars from the lowest to the highest repetition."""
    for place, each in enumerate(result["by_step_ms"].values()):
        ratio = each["ratio_to_uninterrupted"]
        axis.plot([place, place], [ratio["min"], ratio["max"]], color="tab:blue")
        axis.plot(place, ratio["median"], "o", color="tab:blue")
    axis.axhline(1.0, color="0.6", linewidth=1)
    _label_steps(axis, result)
    axis.set_ylabel("wall time / that of an uninterrupted Run")


def draw_phases(axis: Axes, result: dict[str, Any]) -> None:
    """Phases of a step besides Run, one on top of the other."""
    names = [
        name for name in next(iter(result["by_step_ms"].values()))["phases_us"] if name not in (*RUN_PHASES, "body")
    ]
    for place, each in enumerate(result["by_step_ms"].values()):
        bottom = 0.0
        for number, name in enumerate(names):
            axis.bar(
                place,
                each["phases_us"][name],
                0.6,
                bottom,
                color=f"C{number}",
                label=name if place == 0 else None,
            )
            bottom += each["phases_us"][name]
    _label_steps(axis, result)
    axis.set_ylabel("time of a step outside Run (us)")
    axis.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _label_steps(axis: Axes, result: dict[str, Any]) -> None:
    axis.set_xticks(range(len(result["by_step_ms"])), [f"{step} ms" for step in result["by_step_ms"]])
    axis.set_xlabel("coupling step")
