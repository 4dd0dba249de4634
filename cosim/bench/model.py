# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim bench model``: fit the model of ``cosim.bench.costs`` to runs of several sizes on several splits.

Every size runs on every number of brain ranks and threads; runs take turns as in ``cosim bench scaling``.
Errors are those of predicting each kind of run from all others, so they say how the model interpolates. All
spikes are recorded, as the mean rate is needed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cosim.bench import costs, machine, prediction
from cosim.bench.output import make_folder, publish
from cosim.bench.paper import published
from cosim.bench.prediction import Allocation
from cosim.bench.scaling import cost, known, run_once
from cosim.bench.split import Split, split_over
from cosim.engines.nest.memory import SIZE_PARAMETERS
from cosim.errors import ConfigurationError
from cosim.experiment.brains import TableBrain
from cosim.experiment.config import load

FEWEST_KINDS = 6  # one more than the largest number of constants of a quantity
# The benchmark's: a process has the hyper-threads of one of the two sockets of a node (Feldotto et al. 2022).
PUBLISHED_THREADS, PUBLISHED_PER_NODE = 36, 2
COLUMNS = (
    "size, ranks x threads",
    "Run of a step (ms)",
    "predicted",
    "coupling (ms)",
    "predicted",
    "build (s)",
    "predicted",
    "MB a rank",
    "predicted",
)


@dataclass(frozen=True)
class RunKind:
    """One size on one split."""

    size: float
    split: Split


def main(options: argparse.Namespace) -> int:
    """Measure, fit, write, print; returns the exit code.

    Raises:
        ConfigurationError: arguments that do not fit together.
        WorkerFailed: a run did not end well.
    """
    here = machine.describe()
    kinds = list(make_kinds(options))
    out = make_folder(options.out)
    runs: list[list[dict[str, Any]]] = [[] for _ in kinds]
    for repetition in range(options.repetitions):
        for place in range(len(kinds)):
            place = (place + repetition) % len(kinds)
            runs[place].append(run_once(options.experiment, kinds[place].split, out))
    points = [summarize_kind(options, kind, own) for kind, own in zip(kinds, runs, strict=True)]
    result = summarize(options, points)
    return publish(options, here, result, COLUMNS, rows(result), draw)


def make_kinds(options: argparse.Namespace) -> Iterator[RunKind]:
    """Every size on every split.

    Raises:
        ConfigurationError: a script, a network without a size, or too few kinds to fit anything.
    """
    parameter = size_parameter(options.experiment, options.overrides)
    number = len(options.sizes) * len(options.ranks) * len(options.threads)
    if number < FEWEST_KINDS:
        raise ConfigurationError(
            f"{number} of --sizes x --ranks x --threads: must be {FEWEST_KINDS} or more to fit the constants"
        )
    clock = [f"clock.coupling_step_ms={options.step_ms}", f"clock.steps={options.steps}", "record.spikes=*"]
    for size, ranks, threads in product(options.sizes, options.ranks, options.threads):
        asked = [*clock, *options.overrides, f"brain.{parameter}={size}"]
        yield RunKind(size, split_over(options.experiment, asked, ranks, threads))


def size_parameter(experiment: str, overrides: Sequence[str]) -> str:
    """The parameter of the brain that scales it.

    Raises:
        ConfigurationError: it has none.
    """
    loaded = load(experiment, overrides)
    if isinstance(loaded.brain, TableBrain):
        for name in SIZE_PARAMETERS:
            if name in loaded.brain_parameters:
                return name
    raise ConfigurationError(f"{experiment}: must have a brain of one of the sizes {', '.join(SIZE_PARAMETERS)}")


def summarize_kind(options: argparse.Namespace, kind: RunKind, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What ran, and medians over repetitions of what it cost."""
    loaded = load(options.experiment, kind.split.overrides)
    clock, totals = loaded.config.clock, runs[0]["totals"]
    simulated_s = clock.steps * clock.coupling_step_ms / 1000
    load_ = costs.Load(
        neurons=totals["neurons"],
        synapses=totals["synapses"],
        rate_hz=median(run["spikes"] for run in runs) / totals["neurons"] / simulated_s,
        ranks=kind.split.ranks,
        threads=kind.split.threads,
        step_ms=clock.coupling_step_ms,
        resolution_ms=clock.resolution_ms,
        min_delay_ms=runs[0]["min_delay_ms"],
    )
    each = [cost(run) for run in runs]
    measured = {name: median(known(each, name)) for name in ("build_s", "prepare_s", "step_s")}
    measured["run_s"] = median(median(run["profile"]["run_s"][1:]) for run in runs)
    measured["coupling_s"] = median(_coupling_s(run["profile"]) for run in runs)
    memory_mb = median(known(each, "memory_per_process_mb"))
    predicted_mb = prediction.bytes_per_rank(loaded, kind.split.ranks, kind.split.threads) / 1e6
    memory = {"measured_mb": memory_mb, "predicted_mb": predicted_mb}
    return {"size": kind.size, "load": asdict(load_), "measured": measured, "memory": memory}


def _coupling_s(profile: dict[str, list[float]]) -> float:
    """Median over steps, without the first, of what is outside of ``Run``."""
    return median(step - run for step, run in zip(profile["step_s"][1:], profile["run_s"][1:], strict=True))


def summarize(options: argparse.Namespace, points: list[dict[str, Any]]) -> dict[str, Any]:
    """The content of the JSON file, which ``cosim.bench.prediction`` reads."""
    loads = [costs.Load(**point["load"]) for point in points]
    measured = {name: [point["measured"][name] for point in points] for name in costs.QUANTITIES}
    constants = costs.fit(loads, measured)
    for point, load_ in zip(points, loads, strict=True):
        point["predicted"] = costs.predict(constants, load_)
    memory = [abs(each["memory"]["predicted_mb"] / each["memory"]["measured_mb"] - 1) for each in points]
    errors = costs.fit_errors(loads, measured) | {"memory": {"median": median(memory), "max": max(memory)}}
    result = {
        "experiment": options.experiment,
        "overrides": options.overrides,
        "rate_hz": loads[-1].rate_hz,
        "min_delay_ms": loads[-1].min_delay_ms,
        "constants": constants,
        "fit_errors": errors,
        "points": points,
        "published": published(options.experiment),
    }
    return result | {"at_full_size": at_full_size(options, result) if options.full else None}


def at_full_size(options: argparse.Namespace, model: dict[str, Any]) -> dict[str, Any]:
    """Predictions for the size ``--full`` on the published numbers of processes, or on powers of two."""
    parameter = size_parameter(options.experiment, options.overrides)
    loaded = load(options.experiment, [*options.overrides, f"brain.{parameter}={options.full}"])
    processes = (model["published"] or {}).get("processes", [1, 2, 4, 8, 16, 32, 64])
    allocations = [Allocation(max(1, each // PUBLISHED_PER_NODE), each, PUBLISHED_THREADS) for each in processes]
    return {
        "size": options.full,
        "predictions": [prediction.describe(loaded, each, model) for each in allocations],
    }


def rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """One for each kind of run, then the errors, then the predictions for the full size."""
    for point in result["points"]:
        load_, seen, told = point["load"], point["measured"], point["predicted"]
        yield (
            f"{point['size']:g}, {load_['ranks']} x {load_['threads']}",
            *(f"{1000 * each['run_s']:.2f}" for each in (seen, told)),
            *(f"{1000 * each['coupling_s']:.3f}" for each in (seen, told)),
            *(f"{each['build_s']:.2f}" for each in (seen, told)),
            *(f"{point['memory'][name]:.0f}" for name in ("measured_mb", "predicted_mb")),
        )
    errors = result["fit_errors"]
    cells = ((_percent(errors[name]["median"]), "") for name in ("run_s", "coupling_s", "build_s", "memory"))
    yield "median error of a run left out", *(cell for pair in cells for cell in pair)
    for each in (result["at_full_size"] or {}).get("predictions", ()):
        yield (
            f"full size, {each['ranks']} x {each['threads']}",
            *("", f"{1000 * each['run_s']:.2f}", "", f"{1000 * each['coupling_s']:.3f}"),
            *("", f"{each['build_s']:.2f}", "", f"{each['bytes_per_rank'] / 1e6:.0f}"),
        )


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def draw(result: dict[str, Any]) -> Figure:
    """Predicted against measured times, and the real-time factor at full size."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    draw_points(left, result)
    draw_full(right, result)
    figure.suptitle(f"{result['experiment']}: model and runs")
    return figure


def draw_points(axis: Axes, result: dict[str, Any]) -> None:
    """Each quantity of each kind of run."""
    for name in costs.QUANTITIES:
        seen = [point["measured"][name] for point in result["points"]]
        axis.loglog(seen, [point["predicted"][name] for point in result["points"]], "o", markersize=4, label=name)
    ends = axis.get_xlim()
    axis.plot(ends, ends, color="0.6", linewidth=1)
    axis.set_xlabel("measured (s)")
    axis.set_ylabel("model (s)")
    axis.legend(fontsize=8, frameon=False)


def draw_full(axis: Axes, result: dict[str, Any]) -> None:
    """Real-time factor by processes, beside the published curves; empty without ``--full``."""
    paper, full = result["published"], result["at_full_size"]
    if paper:
        processes = paper["processes"]
        axis.plot(processes, paper["real_time_factor"]["mean"], "o-", color="0.65", label="published")
        without = paper["real_time_factor_without_coupling"]
        axis.plot(processes, without, "o:", color="0.65", label="published, without coupling")
    if full:
        predicted = full["predictions"]
        factors = [each["real_time_factor_of_paper"] for each in predicted]
        label = f"model at size {full['size']:g}, {PUBLISHED_THREADS} threads, fitted here"
        axis.plot([each["ranks"] for each in predicted], factors, "o-", color="tab:red", label=label)
    if paper or full:
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.legend(fontsize=8, frameon=False)
    axis.set_xlabel("NEST processes")
    axis.set_ylabel("real-time factor")
