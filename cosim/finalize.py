# SPDX-License-Identifier: GPL-2.0-or-later
"""When the loop has ended: merge, sum up, draw, and tell the user where everything is. Body rank only."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cosim.analysis.results import RunData
from cosim.brain.brain import BuiltBrain
from cosim.brain.network import Network
from cosim.plan import Prepared
from cosim.profile import Stopwatch
from cosim.record import circuit, populations
from cosim.record.merge import merge_profiles, merge_spikes
from cosim.record.populations import Population
from cosim.stop import StopSign
from cosim.summary import built_brain, connecting, mean_rates_hz, timing

log = logging.getLogger("cosim")


@dataclass(frozen=True)
class RankReport:
    """What each rank tells the body rank when the loop has ended."""

    wall_s: dict[str, float]
    peak_memory_mb: float


def finalize(
    prepared: Prepared, built: Sequence[BuiltBrain], reports: Sequence[RankReport], steps: int, stop: StopSign
) -> None:
    """Turn the shards of ``steps`` steps into results.

    ``built`` is of all brain ranks, ``reports`` of all ranks, the body rank first.
    """
    watch = Stopwatch()
    folder = prepared.plan.folder
    shards = folder.shards(len(reports))
    known = populations.describe(built[0].populations, network_of(prepared))
    populations.write(folder.path / populations.FILE, known)
    counts = merge_spikes(shards[1:], built[0].populations, folder.spike_file)
    by_rank = {f"build/{name}_s": seconds for name, seconds in _wall_s(reports).items()}
    by_rank["memory/peak_mb"] = np.array([report.peak_memory_mb for report in reports])
    profile = merge_profiles(folder.run_file, shards, steps, by_rank)
    shutil.rmtree(folder.path / "shards")
    watch.lap("merge")
    describe_circuit(prepared, known, steps)
    watch.lap("describe circuit")
    summary = summarize(prepared, built, reports, steps, stop, profile, counts)
    _write_summary(folder.summary_file, summary)
    if steps:
        draw(prepared)
    watch.lap("draw")
    summary["wall_s"] |= watch.seconds
    _write_summary(folder.summary_file, summary)
    tell(prepared, summary, stop)


def summarize(
    prepared: Prepared,
    built: Sequence[BuiltBrain],
    reports: Sequence[RankReport],
    steps: int,
    stop: StopSign,
    profile: np.ndarray,
    spike_counts: dict[str, int],
) -> dict[str, Any]:
    """The content of ``summary.json``; an experiment adds its own by ``summarize`` in its ``transfer.py``."""
    plan = prepared.plan
    simulated_s = steps * plan.clock.coupling_step_ms / 1000
    own = getattr(prepared.experiment.transfer_module, "summarize", None)
    return {
        "experiment": prepared.experiment.name,
        "complete": steps == plan.clock.steps,
        "stopped_by": stop.reason,
        "steps": steps,
        "simulated_s": simulated_s,
        **(own(RunData(plan.folder.path)) if own else {}),
        **timing(profile, plan.clock.coupling_step_ms),
        "wall_s": {name: float(seconds.max()) for name, seconds in _wall_s(reports).items()},
        "brain_ranks": len(built),
        "threads_per_brain_rank": built[0].threads,
        "peak_memory_mb": [report.peak_memory_mb for report in reports],
        "built": built_brain(built, [report.peak_memory_mb for report in reports]),
        "connect": connecting(built, _longest_s(reports, "connect")),
        "spikes": sum(spike_counts.values()),
        "mean_rate_hz": mean_rates_hz(spike_counts, built[0], simulated_s),
    }


def network_of(prepared: Prepared) -> Network | None:
    """The tables of the brain; None for a script."""
    return prepared.plan.brain if isinstance(prepared.plan.brain, Network) else None


def describe_circuit(prepared: Prepared, known: Sequence[Population], steps: int) -> None:
    """SONATA's files beside ``spikes.h5``."""
    plan = prepared.plan
    data = RunData(plan.folder.path)
    exchanged = circuit.Exchanged(data.readout, data.stimulus, plan.clock.coupling_step_ms, steps)
    nodes = circuit.of_brain(known, network_of(prepared))
    circuit.write_circuit(plan.folder.path, nodes, exchanged, plan.seed, plan.clock.resolution_ms)


def draw(prepared: Prepared) -> None:
    """``figure.png`` and, of a body, ``body.png``."""
    from cosim.analysis.figure import draw_run  # matplotlib takes a second to import: only where it is needed

    data = RunData(prepared.plan.folder.path)
    draw_run(data, data.folder.path / "figure.png")
    prepared.experiment.body.draw(data.folder.path / "body.png", data)


def tell(prepared: Prepared, summary: dict[str, Any], stop: StopSign) -> None:
    """The last lines of a run."""
    folder = prepared.plan.folder.path
    if stop.failure:
        sys.stderr.write(f"cosim: {stop.reason}\n{stop.failure}")
    if not summary["complete"]:
        log.warning("stopped after %d of %d steps: %s", summary["steps"], prepared.plan.clock.steps, stop.reason)
    log.info("results: %s", folder)
    if not summary["steps"]:
        return
    log.info("real-time factor %.3g, coupling %.2f %% of the loop", *_speed(summary))
    for line in getattr(prepared.experiment.transfer_module, "tell", lambda _: [])(summary):
        log.info("%s", line)
    log.info("figure: %s", folder / "figure.png")


def _speed(summary: dict[str, Any]) -> tuple[float, float]:
    return summary["real_time_factor"], 100 * summary["coupling_fraction"]


def _wall_s(reports: Sequence[RankReport]) -> dict[str, np.ndarray]:
    """Wall time in s of each phase outside the loop's steps, (ranks,); 0 where a rank does not have it."""
    names = dict.fromkeys(name for report in reports for name in report.wall_s)
    return {name: np.array([report.wall_s.get(name, 0.0) for report in reports]) for name in names}


def _longest_s(reports: Sequence[RankReport], phase: str) -> float:
    """Wall time in s of a phase on the rank where it took longest; 0 where no rank has it."""
    return max(report.wall_s.get(phase, 0.0) for report in reports)


def _write_summary(path: Any, summary: dict[str, Any]) -> None:
    path.write_text(json.dumps(summary, indent=2) + "\n")
