# SPDX-License-Identifier: GPL-2.0-or-later
"""When the loop has ended: merge, sum up, draw, and tell the user where everything is. Body rank only.

All is made from files, so that `cosim recover` does the same for a run that was killed. What a later stage brings
is worth less than that of the stages before: if one fails, the others still do their work.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from cosim.body.kind import Description
from cosim.engines.built import BuiltBrain, BuiltPopulation
from cosim.errors import RecordingError
from cosim.experiment.config import Clock
from cosim.network.network import Network
from cosim.record import circuit, failed, populations
from cosim.record.built import RankReport
from cosim.record.disk import several, write_text
from cosim.record.folder import RunFolder
from cosim.record.merge import merge_spikes
from cosim.record.profile import Stopwatch
from cosim.record.runfile import finish_run_file
from cosim.record.summary import FOLLOWED_BY, built_brain, connecting, mean_rates_hz, timing, to_json
from cosim.record.weights import merge_weights
from cosim.results.run_data import RunData

log = logging.getLogger("cosim")


@dataclass(frozen=True)
class EndedRun:
    """A run that has ended, and all that its results are made from besides ``run.h5`` and the shards.

    These are in ``source``; results go to ``folder``, which for a run that ends well is the same. ``built`` is of
    all brain ranks, ``reports`` are of all ranks, the body rank first. ``network`` is None for a script.
    ``stopped_by`` is why it ended, ``failure`` the traceback if something failed. ``summarize`` and ``tell`` of
    ``transfer_module`` are the experiment's own.
    """

    name: str
    source: RunFolder
    folder: RunFolder
    clock: Clock
    seed: int
    body: Description
    network: Network | None
    transfer_module: ModuleType
    built: Sequence[BuiltBrain]
    reports: Sequence[RankReport]
    steps: int
    stopped_by: str = ""
    failure: str = ""
    followed_by: str = ""
    """The name of the folder, beside that of this run, in which it began anew."""

    @property
    def is_complete(self) -> bool:
        """Whether all steps were done, and nothing failed."""
        return self.steps == self.clock.steps and not self.failure


class Stages:
    """What is done one after the other, whatever becomes of the ones before."""

    def __init__(self) -> None:
        self.all_well = True

    @contextmanager
    def stage(self, what: str) -> Iterator[None]:
        """An error is told, and costs nothing but this stage."""
        try:
            yield
        except RecordingError as error:
            self.fail("%s: %s", what, error)
        except (Exception, SystemExit) as error:
            self.fail("%s: %s", what, "".join(traceback.format_exception(error)))

    def fail(self, message: str, *values: object) -> None:
        """Tell what went wrong."""
        self.all_well = False
        log.error(message, *values)


def finalize(run: EndedRun) -> bool:
    """Turn the shards into results; whether all went well. What was merged stands in any case.

    Raises:
        RecordingError: the results do not fit onto the disk; the shards are still there.
    """
    watch, stages, folder = Stopwatch(), Stages(), run.folder
    shards = run.source.shards(len(run.reports))
    counts = merge_spikes(shards[1:], run.built[0].populations, folder.spike_file, run.steps)
    merge_weights(shards[1:], folder.weights_file, run.steps, run.clock.coupling_step_ms)
    profile = finish_run_file(run.source, folder.run_file, shards, run.steps, run.clock.substeps, by_rank(run))
    watch.lap("merge")
    summary = summarize(run, profile, counts) | failed_functions(run)
    write_text(folder.summary_file, to_json(summary))
    with stages.stage("SONATA files"):
        describe_circuit(run)
    watch.lap("describe circuit")
    figure = None
    if run.steps and wants_figures():
        with stages.stage("figures"):
            figure = draw(run)
    watch.lap("draw")
    with stages.stage("summarize of the experiment"):
        add_own(run, summary, stages)
    summary["wall_s"] |= watch.seconds
    with stages.stage(folder.summary_file.name):
        write_text(folder.summary_file, to_json(summary))
    with stages.stage("last lines"):
        tell(run, summary, figure)
    folder.remove_shards()
    return stages.all_well


def by_rank(run: EndedRun) -> dict[str, np.ndarray]:
    """What is stored of every rank as a whole, (ranks,)."""
    build = {f"build/{name}_s": seconds for name, seconds in _wall_s(run.reports).items()}
    return {**build, "memory/peak_mb": np.array([report.peak_memory_mb for report in run.reports])}


def summarize(run: EndedRun, profile: np.ndarray, spike_counts: dict[str, int]) -> dict[str, Any]:
    """The content of ``summary.json``, but for what an experiment adds."""
    simulated_s = run.steps * run.clock.coupling_step_ms / 1000
    followed_by = {FOLLOWED_BY: run.followed_by} if run.followed_by else {}
    return {
        "experiment": run.name,
        "complete": run.is_complete,
        "stopped_by": "" if run.is_complete else run.stopped_by,
        "steps": run.steps,
        "simulated_s": simulated_s,
        **timing(profile, run.clock.coupling_step_ms),
        "wall_s": {name: float(seconds.max()) for name, seconds in _wall_s(run.reports).items()},
        "brain_ranks": len(run.built),
        "threads_per_brain_rank": run.built[0].threads,
        "peak_memory_mb": [report.peak_memory_mb for report in run.reports],
        "built": built_brain(run.built, [report.peak_memory_mb for report in run.reports]),
        "connect": connecting(run.built, _longest_s(run.reports, "connect")),
        "left_to_nestlink": list(run.built[0].left_to_nestlink),
        "spikes": sum(spike_counts.values()),
        "mean_rate_hz": mean_rates_hz(spike_counts, run.built[0], simulated_s),
        **followed_by,
    }


def failed_functions(run: EndedRun) -> dict[str, Any]:
    """Transfer functions that failed, and were switched off; nothing where none did."""
    told = [asdict(each) for each in failed.told(run.source.failed_file)]
    return {"failed_functions": told} if told else {}


def add_own(run: EndedRun, summary: dict[str, Any], stages: Stages) -> None:
    """What ``summarize`` in an experiment's ``transfer.py`` returns; names that are cosim's stay cosim's."""
    own: dict[str, Any] = getattr(run.transfer_module, "summarize", lambda _: {})(RunData(run.folder.path))
    taken = sorted(own.keys() & summary.keys())
    if taken:
        stages.fail("summarize returned %s: these are cosim's own, choose other names", ", ".join(taken))
    added = {name: value for name, value in own.items() if name not in summary}
    to_json(added)  # raises for what JSON does not know, before it spoils the summary
    summary |= added


def describe_circuit(run: EndedRun) -> None:
    """SONATA's files beside ``spikes.h5``."""
    data = RunData(run.folder.path)
    sinks, sources = [*data.sinks.values()], [*data.sources.values()]
    exchanged = circuit.Exchanged(sinks, sources, run.clock.coupling_step_ms, run.steps)
    nodes = circuit.of_brain(known_populations(run), run.network)
    with several(run.folder.path) as folder:
        circuit.write_circuit(folder, nodes, exchanged, run.seed, run.clock.resolution_ms)


def known_populations(run: EndedRun) -> list[BuiltPopulation]:
    """What is known of the populations in the results folder."""
    return populations.read(run.folder.populations_file)


def wants_figures() -> bool:
    """Whether runs draw; ``COSIM_FIGURES=no`` in the environment saves each of many short runs two seconds."""
    return os.environ.get("COSIM_FIGURES") != "no"


def draw(run: EndedRun) -> Path:
    """``figure.png`` and, of a body, ``body.png``; returns the path of the first."""
    from cosim.show.bodies.kinds import pictures_of
    from cosim.show.figure import draw_run  # matplotlib takes a second to import: only where it is needed

    data, name = RunData(run.folder.path), "figure.png"
    with several(run.folder.path) as folder:
        draw_run(data, folder / name)
        if pictures := pictures_of(run.body):
            pictures.draw_run(folder / "body.png", run.body, data)
    return run.folder.path / name


def tell(run: EndedRun, summary: dict[str, Any], figure: Path | None) -> None:
    """The last lines of a run; there is no ``figure`` if drawing failed."""
    if run.failure:
        sys.stderr.write(f"cosim: {run.stopped_by}\n{run.failure}")
    if not run.is_complete:
        log.warning("stopped after %d of %d steps: %s", run.steps, run.clock.steps, run.stopped_by)
    for each in summary.get("failed_functions", ()):
        log.warning("transfer function %s was switched off after step %d: %s", *each.values())
    log.info("results: %s", run.folder.path)
    if not run.steps:
        return
    log.info("real-time factor %.3g, coupling %.2f %% of the loop", *_speed(summary))
    for line in getattr(run.transfer_module, "tell", lambda _: [])(summary):
        log.info("%s", line)
    if figure:
        log.info("figure: %s", figure)
    elif wants_figures():
        log.warning("no figure: drawing it failed, see above")


def _speed(summary: dict[str, Any]) -> tuple[float, float]:
    return summary["real_time_factor"], 100 * summary["coupling_fraction"]


def _wall_s(reports: Sequence[RankReport]) -> dict[str, np.ndarray]:
    """Wall time in s of each phase outside the loop's steps, (ranks,); 0 where a rank does not have it."""
    names = dict.fromkeys(name for report in reports for name in report.wall_s)
    return {name: np.array([report.wall_s.get(name, 0.0) for report in reports]) for name in names}


def _longest_s(reports: Sequence[RankReport], phase: str) -> float:
    """Wall time in s of a phase on the rank where it took longest; 0 where no rank has it."""
    return max(report.wall_s.get(phase, 0.0) for report in reports)
