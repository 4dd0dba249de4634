# SPDX-License-Identifier: GPL-2.0-or-later
"""The brain alone on the stimuli of a recorded run: ``cosim replay RUN``, in open loop.

There is no body and there are no transfer functions. With the same brain the same spikes and readouts must
come out; ``--set`` changes the brain under the same stimuli, and what comes out is compared. The summary says
so as ``replay``.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py

from cosim.body.kind import Body
from cosim.control.commands.registry import parse
from cosim.devices.devices import Devices, datasets
from cosim.devices.lists import SpikeList
from cosim.errors import ConfigurationError
from cosim.experiment.config import Experiment
from cosim.experiment.options import Options
from cosim.modes.compare import Difference, count_until, series_differences, series_names, spike_differences
from cosim.modes.normal import NormalRun
from cosim.modes.recorded_run import RecordedRun
from cosim.parallel.exchange import Exchange
from cosim.record import lists
from cosim.record.commands import Obeyed
from cosim.record.disk import write_text
from cosim.record.folder import RunFolder
from cosim.record.summary import to_json
from cosim.results.run_data import RunData
from cosim.results.step_rows import ListRows, Rows
from cosim.transfer import StimulusMaker

log = logging.getLogger("cosim")


@dataclass(frozen=True)
class ReplayedRun(NormalRun):
    """A run of the brain of ``recorded`` alone."""

    recorded: RecordedRun

    @classmethod
    def along(cls, options: Options, run: str) -> ReplayedRun:
        """Replay the run in the folder ``run``. Body rank; raises ConfigurationError."""
        return cls(options, RecordedRun.open(run))

    def load(self) -> Experiment:
        """The experiment without body and transfer functions; its stimuli must still find their sources."""
        experiment = self.recorded.brain_alone(self.options.experiment, self.options.overrides)
        clock, sources = experiment.config.clock, [each.name for each in experiment.config.sources]
        problems = []
        if clock.coupling_step_ms != self.recorded.clock.coupling_step_ms:
            step_ms = clock.coupling_step_ms
            problems.append(f"clock.coupling_step_ms = {step_ms}: must stay {self.recorded.clock.coupling_step_ms}")
        if clock.steps > self.recorded.steps:
            problems.append(f"clock.steps = {clock.steps}: only {self.recorded.steps} are recorded")
        if sources != self.recorded.sources:
            problems.append(f"sources {', '.join(sources)}: must stay {', '.join(self.recorded.sources)}")
        if problems:
            raise ConfigurationError("\n".join(f"--replay {self._path}: {problem}" for problem in problems))
        return experiment

    def provenance(self) -> dict[str, str | int]:
        """What it replays."""
        return {"replay_of": str(self._path)}

    def notes(self, experiment: Experiment) -> Iterator[tuple[int, str]]:
        """What is replayed, and what has changed since it was recorded."""
        yield logging.INFO, f"replays the brain of {self._path} on its stimuli"
        for change in (*self.options.overrides, *self.recorded.changes(experiment)):
            yield logging.WARNING, f"changed: {change}"

    def transfer(self, functions: StimulusMaker, exchange: Exchange, devices: Devices, body: Body) -> StimulusMaker:
        """The recorded stimuli."""
        names = [f"exchange/stimulus/{name}" for name in datasets(devices.sources)]
        steps, run_file = self.recorded.steps, self.recorded.folder.run_file
        return Playback(Rows(run_file, names, steps), exchange, steps, source_lists(run_file, exchange))

    def commands(self) -> Sequence[Obeyed]:
        """Those that changed the brain itself; what others did to it is in the stimuli."""
        return [each for each in self.recorded.commands if parse(each.what).is_repeated(brain_alone=True)]

    def repeats_until(self) -> float:
        """To its end, which cannot be later than that of the recorded run."""
        return math.inf

    def again(self, folder: RunFolder, overrides: Sequence[str]) -> NormalRun:
        """Refused: another run would go along the recorded one from its start."""
        raise ConfigurationError(f"a run along {self._path} cannot be reset as a whole; start the experiment itself")

    def end(self, folder: RunFolder, steps: int) -> bool:
        """Compare, say what came out, and add it to the summary; a difference is a result, not a failure."""
        comparison = compare(self.recorded, folder, steps) | {"changed": list(self.options.overrides)}
        write_text(folder.summary_file, to_json(RunData(folder.path).summary | {"replay": comparison}))
        for line in tell(comparison):
            log.info("%s", line)
        return True

    @property
    def _path(self) -> Path:
        return self.recorded.folder.path


def source_lists(run_file: Path, exchange: Exchange) -> list[tuple[SpikeList, ListRows]]:
    """Each list of spikes that a source sends, with what was recorded of it."""
    sources = exchange.lists.sources if exchange.lists else []
    return [(each, ListRows(run_file, each.name)) for each in sources]


class Playback:
    """Takes the place of transfer functions: in every step the stimulus is the recorded one."""

    names = ("recorded stimuli",)

    def __init__(
        self, stimulus: Rows, exchange: Exchange, steps: int, lists: Sequence[tuple[SpikeList, ListRows]]
    ) -> None:
        self._stimulus, self._exchange, self._steps, self._lists = stimulus, exchange, steps, lists

    def apply(self, step: int) -> None:
        """The stimulus that acts after ``step`` steps; after the last one it stays as it was."""
        if step < self._steps:
            self._exchange.stimulus[:] = self._stimulus.at(step)
            for spikes, recorded in self._lists:
                spikes.put(*recorded.at(step))


def compare(recorded: RecordedRun, folder: RunFolder, steps: int) -> dict[str, Any]:
    """What came out of ``steps`` steps of a brain, in ``folder``, beside what was recorded of them."""
    then, now, step_ms = recorded.data, RunData(folder.path), recorded.clock.coupling_step_ms
    common = [name for name in then.spike_counts if name in now.spike_counts]
    unshared = sorted(then.spike_counts.keys() ^ now.spike_counts.keys())
    there, here = (_of_sinks(run.run_file) for run in (recorded.folder, folder))
    sinks = [name for name in there if name in here]
    readouts = list(series_differences(recorded.folder.run_file, folder.run_file, sinks, steps, 1))
    files = recorded.folder.spike_file, folder.spike_file
    spikes = list(spike_differences(*files, common, steps, step_ms))
    first = min((*spikes, *readouts), key=lambda each: each.step, default=None)
    return {
        "of": str(recorded.folder.path),
        "steps": steps,
        "identical": not (spikes or readouts or unshared),
        "identical_spikes": not (spikes or unshared),
        "identical_readouts": not readouts,
        "first_difference": asdict(first) if first else None,
        "only_in_one": unshared,
        "mean_rate_hz": {name: _rates_hz(name, (then, now), steps * step_ms) for name in common},
    }


def _of_sinks(run_file: Path) -> list[str]:
    """The datasets of all sinks: their values, and spikes of those that list them."""
    values = series_names(run_file, "exchange/readout")
    sinks = {Path(each).name for each in values}
    return values + [each for each in series_names(run_file, lists.LISTS) if Path(each).parent.name in sinks]


def tell(comparison: dict[str, Any]) -> Iterator[str]:
    """Lines for a user."""
    where = f"{comparison['steps']} steps of {comparison['of']}"
    if comparison["identical"]:
        yield f"the same spikes and readouts as in {where}"
        return
    yield f"not the same spikes and readouts as in {where}"
    if comparison["first_difference"]:
        yield f"first difference: {Difference(**comparison['first_difference'])}"
    if comparison["only_in_one"]:
        yield f"recorded in one of both only: {', '.join(comparison['only_in_one'])}"
    yield f"{'mean rate, Hz':30} {'recorded':>10} {'replayed':>10}"
    for name, (then, now) in comparison["mean_rate_hz"].items():
        yield f"{name:30} {then:10.3f} {now:10.3f}"


def _rates_hz(name: str, runs: Sequence[RunData], end_ms: float) -> list[float]:
    """Mean rates of a population in several runs, up to ``end_ms``."""
    rates = []
    for run in runs:
        with h5py.File(run.folder.spike_file, "r") as file:
            spikes = count_until(file["spikes"][name], end_ms)
        rates.append(1000 * spikes / run.populations[name].recorded / end_ms if end_ms else 0.0)
    return rates
