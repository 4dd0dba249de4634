# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim bench scaling``: runs on several numbers of brain ranks, in the way of Feldotto et al. 2022.

50 coupling steps of 20 ms, eight repetitions, every number of ranks in each. Runs on different numbers of
ranks are MPI jobs of their own and take turns. As in the paper the first step is in no mean; unlike there the
set-up of connections is a phase of its own, "prepare", and energy is of the run alone, without waiting before
and after it. The real-time factor is that of ``summary.json``, of all steps, and the paper's is beside it.

The JSON is written anew after every run, from the runs that are done: a job that is killed leaves all of them
but the one it was in. Its ``repetitions`` are then the fewest of any number of ranks that is in it. The figure
and the table come at the end.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cosim.bench import launch, machine
from cosim.bench.energy import NOT_AVAILABLE, of_last_slurm_step
from cosim.bench.output import make_folder, publish, write
from cosim.bench.panels import draw
from cosim.bench.paper import published
from cosim.bench.split import Split, split_over
from cosim.bench.spread import spread, text
from cosim.errors import ConfigurationError

COLUMNS = (
    "brain ranks",
    "runtime (s)",
    "real-time factor",
    "without the first step",
    "build (s)",
    "prepare (s)",
    "step (ms)",
    "coupling (%)",
    "MB a process",
    "energy (J)",
)


def main(options: argparse.Namespace) -> int:
    """Measure, write, print; returns the exit code.

    Raises:
        ConfigurationError: arguments that do not fit together.
        WorkerFailed: a run did not end well.
    """
    here = machine.describe()
    if options.steps < 2:
        raise ConfigurationError(f"--steps {options.steps}: must be 2 or more, as the first one does not count")
    clock = [f"clock.coupling_step_ms={options.step_ms}", f"clock.steps={options.steps}"]
    asked = [*clock, *options.overrides]  # what the user sets wins
    splits = [split_over(options.experiment, asked, ranks, options.threads) for ranks in options.ranks]
    out = make_folder(options.out)
    runs: dict[int, list[dict[str, Any]]] = {each.ranks: [] for each in splits}
    for repetition in range(options.repetitions):
        shift = repetition % len(splits)
        for each in splits[shift:] + splits[:shift]:
            runs[each.ranks].append(run_once(options.experiment, each, out))
            result = summarize(options, splits, runs)
            write(options, here, result)
    return publish(options, here, result, COLUMNS, rows(result), draw)


def run_once(experiment: str, ranks: Split, out: Path) -> dict[str, Any]:
    """One run, with its wall time from launch to end."""
    began = time.perf_counter()
    request = {"experiment": experiment, "overrides": ranks.overrides, "out": str(out)}
    run = launch.work("run", request, 1 + ranks.ranks, ranks.threads)
    run["runtime_s"] = time.perf_counter() - began
    if run["energy_j"] is None:
        run["energy_j"] = of_last_slurm_step()
    return run


def summarize(
    options: argparse.Namespace, splits: list[Split], runs: dict[int, list[dict[str, Any]]]
) -> dict[str, Any]:
    """The content of the JSON file, of the numbers of ranks on which there was a run already."""
    done = [each for each in splits if runs[each.ranks]]
    return {
        "repetitions": min(len(runs[each.ranks]) for each in done),
        "experiment": options.experiment,
        "overrides": options.overrides,
        "steps": options.steps,
        "coupling_step_ms": options.step_ms,
        "threads_per_brain_rank": options.threads,
        "by_ranks": {str(each.ranks): of_ranks(each, runs[each.ranks]) for each in done},
        "published": published(options.experiment),
    }


def of_ranks(ranks: Split, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the repetitions on one number of ranks; the profile is that of the first one."""
    costs = [cost(run) for run in runs]
    missing = [name for name in costs[0] if any(each[name] is None for each in costs)]
    return {
        "threads": ranks.threads,
        "oversubscribed": ranks.oversubscribed,
        "nodes": len(set(runs[0]["hosts"])),
        "totals": runs[0]["totals"],
        "spikes": runs[0]["spikes"],
        **{name: spread(known(costs, name)) for name in costs[0] if name not in missing},
        **dict.fromkeys(missing, NOT_AVAILABLE),
        "profile": runs[0]["profile"],
    }


def known(costs: Sequence[Mapping[str, float | None]], name: str) -> list[float]:
    """One of the costs of all runs for which it was measured."""
    return [value for each in costs if (value := each[name]) is not None]


def cost(run: dict[str, Any]) -> dict[str, float | None]:
    """What one run cost. Times of a step are means over all steps but the first one, as in Feldotto et al. 2022.

    ``step_s`` and ``first_step_s`` are of the rank on which the loop took longest, as the real-time factors are.
    """
    wall_s, profile = run["wall_s"], run["profile"]
    steps = len(profile["step_s"])
    step_s = run["coupling_step_s"] / run["real_time_factor_of_paper"]
    all_steps_s = steps * run["coupling_step_s"] / run["real_time_factor"]
    machines, processes = Counter(run["hosts"]), len(run["hosts"]) - 1
    by_machine = [
        sum(mb for mb, host in zip(run["memory_mb"], run["hosts"], strict=True) if host == name) for name in machines
    ]
    return {
        "runtime_s": run["runtime_s"],
        "real_time_factor": run["real_time_factor"],
        "real_time_factor_of_paper": run["real_time_factor_of_paper"],
        "create_s": wall_s.get("create", 0.0),
        "connect_s": wall_s.get("connect", 0.0) + wall_s.get("drive", 0.0) + wall_s.get("script", 0.0),
        "build_s": sum(wall_s.get(name, 0.0) for name in ("create", "connect", "drive", "devices", "script")),
        "prepare_s": wall_s["prepare"],
        "loop_s": wall_s["loop"],
        "first_step_s": all_steps_s - (steps - 1) * step_s,
        "step_s": step_s,
        "brain_step_s": statistics.fmean(profile["brain_step_s"][1:]),
        "body_step_s": statistics.fmean(profile["body_step_s"][1:]),
        "last_step_s": profile["run_s"][-1],
        "coupling_fraction": run["coupling_fraction"],
        "memory_per_process_mb": max(run["memory_mb"][1:]),
        "memory_of_body_mb": run["memory_mb"][0],
        "memory_per_node_mb": max(by_machine),
        "node_hours": run["runtime_s"] / 3600 * len(machines),
        "process_hours": run["runtime_s"] / 3600 * processes,
        "energy_j": run["energy_j"],
    }


def rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """One for each number of ranks; ranges of the two that matter most, medians of the others."""
    for ranks, each in result["by_ranks"].items():
        energy = each["energy_j"] if each["energy_j"] == NOT_AVAILABLE else f"{each['energy_j']['median']:.0f}"
        yield (
            f"{ranks} x {each['threads']}",
            text(each["runtime_s"], ".1f"),
            text(each["real_time_factor"]),
            f"{each['real_time_factor_of_paper']['median']:.3g}",
            f"{each['build_s']['median']:.2f}",
            f"{each['prepare_s']['median']:.2f}",
            f"{1000 * each['step_s']['median']:.1f}",
            f"{100 * each['coupling_fraction']['median']:.1f}",
            f"{each['memory_per_process_mb']['median']:.0f}",
            energy,
        )
