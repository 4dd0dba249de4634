# SPDX-License-Identifier: GPL-2.0-or-later
"""Going on from where a run ended: ``cosim run --resume RUN``.

NEST cannot save its whole state. So brain, body and transfer functions start again and run along what was
recorded; all that they do is compared with it, bit for bit, and from its end on they go on by themselves. How
the brain is split into ranks and threads may be another one: results do not depend on it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosim.body.kind import Body
from cosim.devices.devices import Devices, datasets
from cosim.devices.lists import SpikeList
from cosim.engines.engine import SteppedBrain
from cosim.errors import ConfigurationError, Departure, NothingToDo
from cosim.experiment.config import Experiment
from cosim.experiment.options import Options
from cosim.modes import recover
from cosim.modes.compare import Difference, series_differences, series_names, spike_differences
from cosim.modes.normal import NormalRun
from cosim.modes.recorded_run import RecordedRun
from cosim.modes.replay import source_lists
from cosim.modes.spike_check import CheckedRecorder, SpikeCheck
from cosim.parallel.exchange import Exchange
from cosim.record import attempts, drive
from cosim.record.commands import Obeyed
from cosim.record.disk import write_text
from cosim.record.drive import Written
from cosim.record.folder import RunFolder, make_folder
from cosim.record.recorder import BrainRecorder
from cosim.record.summary import to_json
from cosim.results.run_data import RunData
from cosim.results.step_rows import ListRows, Rows, unequal
from cosim.transfer import StimulusMaker

log = logging.getLogger("cosim")


@dataclass(frozen=True)
class ResumedRun(NormalRun):
    """A run that goes along ``recorded`` and then on."""

    recorded: RecordedRun

    @classmethod
    def along(cls, options: Options, run: str) -> ResumedRun:
        """Go on with the run in the folder ``run``. Body rank; raises ConfigurationError."""
        path = Path(run).resolve()
        _settle(RunFolder(path))
        return cls(options, RecordedRun.open(path))

    def load(self) -> Experiment:
        """The experiment as it ran; only the number of steps may be another one.

        Raises:
            NothingToDo: all steps are done, also those of a run that was killed while its results were made.
        """
        if "replay_of" in self.recorded.provenance:
            raise ConfigurationError(f"{self._path} is a replay; go on with what it replays, and replay that")
        experiment = self.recorded.experiment(self.options.experiment, self.options.overrides)
        steps = experiment.config.clock.steps
        if steps <= self.recorded.steps:
            is_done = steps == self.recorded.steps
            raise (NothingToDo if is_done else ConfigurationError)(
                f"--resume {self._path}: {self.recorded.steps} steps are done and {steps} are wanted; "
                "give more by --steps to go on"
            )
        return experiment

    def make_folder(self, experiment: Experiment) -> RunFolder:
        """New results lie inside the folder of the run until they hold more than the old ones."""
        return make_folder(experiment.name, str(attempts.attempt(self.recorded.folder).path), Path())

    def provenance(self) -> dict[str, str | int]:
        """After how many steps it was resumed."""
        return {"resumed_after_steps": self.recorded.steps}

    def notes(self, experiment: Experiment) -> Iterator[tuple[int, str]]:
        """How far it goes along what was recorded, and what has changed since."""
        steps = self.recorded.steps
        yield logging.INFO, f"the {steps} steps of {self._path} are run again and compared with what was recorded"
        for change in self.recorded.changes(experiment):
            yield logging.WARNING, f"since the run was recorded: {change}"

    def transfer(self, functions: StimulusMaker, exchange: Exchange, devices: Devices, body: Body) -> StimulusMaker:
        """The experiment's own, compared with what was recorded."""
        return CheckedTransfer(functions, self.recorded, exchange, devices, body)

    def recorder(
        self, recorder: BrainRecorder, brain: SteppedBrain, is_own: Callable[[np.ndarray], np.ndarray]
    ) -> CheckedRecorder:
        """Spikes are compared, too, before they are written."""
        check = SpikeCheck(self.recorded.folder, brain.built.populations, is_own)
        return CheckedRecorder(recorder, brain, check)

    def commands(self) -> Sequence[Obeyed]:
        """All that were obeyed; what only says when a run goes on is written down again."""
        return self.recorded.commands

    def driven(self) -> Mapping[int, Written]:
        """All of it."""
        return drive.read(self.recorded.folder.run_file)

    def repeats_until(self) -> float:
        """All steps that are recorded."""
        return self.recorded.steps

    def again(self, folder: RunFolder, overrides: Sequence[str]) -> NormalRun:
        """Refused: another run would go along the recorded one from its start."""
        raise ConfigurationError(f"a run along {self._path} cannot be reset as a whole; start the experiment itself")

    def end(self, folder: RunFolder, steps: int) -> bool:
        """Results that go on from the recorded ones, and are the same up to there, take their place."""
        if steps <= self.recorded.steps:
            kept = self._path, self.recorded.steps
            log.warning("no further than before: %s stays as it was, with %d steps", *kept)
            return True
        difference = _departure(self.recorded, folder)
        if difference:
            log.error("the results in %s are not those of %s: %s", folder.path, self._path, difference)
            return False
        summary = RunData(folder.path).summary | {"resumed_after_steps": self.recorded.steps}
        write_text(folder.summary_file, to_json(summary))
        earlier = attempts.take_place(self.recorded.folder)
        log.info("results: %s; what was there before, and is the same, is in %s", self._path, earlier)
        return True

    @property
    def _path(self) -> Path:
        return self.recorded.folder.path


class CheckedTransfer:
    """Transfer functions of which each stimulus is compared with the recorded one, as are readout and body."""

    def __init__(
        self,
        functions: StimulusMaker,
        recorded: RecordedRun,
        exchange: Exchange,
        devices: Devices,
        body: Body,
    ) -> None:
        self.names, self._functions, self._steps = functions.names, functions, recorded.steps
        self._exchange, self._body = exchange, body
        file, steps = recorded.folder.run_file, recorded.steps
        self._readout = Rows(file, [f"exchange/readout/{name}" for name in datasets(devices.sinks)], steps)
        self._stimulus = Rows(file, [f"exchange/stimulus/{name}" for name in datasets(devices.sources)], steps)
        self._lists = source_lists(file, exchange)
        # What commands changed there acts and is recorded later; all that was recorded is compared at the end.
        self._steered = {each.step for each in recorded.commands}
        self._moved = Rows(file, [f"body/{name}" for name in body.series], steps, recorded.clock.substeps)

    def apply(self, step: int) -> None:
        """As `TransferFunctions.apply`; raises Departure for what differs from the record."""
        if 0 < step <= self._steps:
            moved = np.concatenate([np.empty(0), *map(np.ravel, self._body.series.values())])
            _compare(self._readout, step - 1, self._exchange.readout, "the brain does not do what it did")
            _compare(self._moved, step - 1, moved, "the body does not move as it did")
        self._functions.apply(step)
        if step < self._steps and step not in self._steered:
            cause = "runs whose transfer functions use a clock or unseeded random numbers cannot be resumed"
            _compare(self._stimulus, step, self._exchange.stimulus, cause)
            for spikes, recorded in self._lists:
                _compare_spikes(spikes, recorded, step, cause)
        elif step == self._steps:
            log.info("stimuli, readouts and body were the same in all %d recorded steps; now it goes on", step)


def _compare(rows: Rows, step: int, now: np.ndarray, cause: str) -> None:
    recorded = rows.at(step)
    differ = np.flatnonzero(unequal(recorded, now))
    if differ.size:
        place = differ[0]
        raise Departure(
            f"{rows.name(place)} in step {step} was recorded as {float(recorded[place])!r} and is now "
            f"{float(now[place])!r}: {cause}"
        )


def _compare_spikes(spikes: SpikeList, recorded: ListRows, step: int, cause: str) -> None:
    """There are as many."""
    lists = recorded.at(step), (spikes.times_ms, spikes.numbers)
    then, now = ([*zip(times_ms.tolist(), numbers.tolist(), strict=True)] for times_ms, numbers in lists)
    if then != now:
        place = next(place for place, pair in enumerate(zip(then, now, strict=True)) if pair[0] != pair[1])
        was, is_now = (f"neuron {each[place][1]:.0f} at {each[place][0]!r} ms" for each in (then, now))
        raise Departure(f"spikes of {spikes.name} in step {step} were recorded as {was} and are now {is_now}: {cause}")


def _departure(recorded: RecordedRun, folder: RunFolder) -> Difference | None:
    """The earliest difference between a recorded run and the same steps in ``folder``."""
    names = [name for group in ("body", "exchange") for name in series_names(recorded.folder.run_file, group)]
    files = recorded.folder.run_file, folder.run_file
    series = series_differences(*files, names, recorded.steps, recorded.clock.substeps)
    files = recorded.folder.spike_file, folder.spike_file
    step_ms = recorded.clock.coupling_step_ms
    spikes = spike_differences(*files, list(recorded.data.spike_counts), recorded.steps, step_ms)
    return min((*series, *spikes), key=lambda each: each.step, default=None)


def _settle(run: RunFolder) -> None:
    """What an earlier attempt left takes its place if it got further; else it holds nothing more, and goes."""
    attempts.mend(run)
    attempt = attempts.attempt(run)
    if not attempt.path.exists():
        return
    before = RecordedRun.open(run.path)
    if _steps_of(attempt) <= before.steps:
        shutil.rmtree(attempt.path)
        return
    difference = _departure(before, attempt)
    if difference:
        raise ConfigurationError(f"{attempt.path}: does not go on from {run.path}: {difference}; move it away")
    attempts.take_place(run)


def _steps_of(attempt: RunFolder) -> int:
    """How far it got; ConfigurationError if it goes on."""
    if attempt.config_file.is_file():
        recover.main(str(attempt.path), out=None, force=False)
    return RunData(attempt.path).summary["steps"] if attempt.summary_file.is_file() else 0
