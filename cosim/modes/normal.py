# SPDX-License-Identifier: GPL-2.0-or-later
"""The normal mode: a run computes everything from its experiment.

Resuming and replaying are modes too: they derive from this one and replace the methods where a recorded run decides,
such as where results go or what the stimuli are. The body rank makes the mode; all ranks get a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cosim.body.kind import Body
from cosim.devices.devices import Devices
from cosim.engines.engine import SteppedBrain
from cosim.experiment.config import Experiment, load
from cosim.experiment.options import Options
from cosim.experiment.overrides import joined
from cosim.parallel.exchange import Exchange
from cosim.record.commands import Obeyed
from cosim.record.drive import Written
from cosim.record.folder import RunFolder, following, make_folder
from cosim.record.recorder import BrainRecorder, Recorder
from cosim.transfer import StimulusMaker


@dataclass(frozen=True)
class NormalRun:
    """A run from an experiment, which needs no recorded run."""

    options: Options
    first: Path | None = field(default=None, kw_only=True)
    """The results folder of the first of several runs that begin anew, one after the other."""

    def load(self) -> Experiment:
        """The checked experiment. Body rank; raises ConfigurationError."""
        assert self.options.experiment is not None  # `parse` wants one where no recorded run is named
        return load(self.options.experiment, self.options.overrides)

    def make_folder(self, experiment: Experiment) -> RunFolder:
        """A new folder for the results. Body rank; raises ConfigurationError."""
        return make_folder(experiment.name, self.options.out, Path("results"))

    def provenance(self) -> dict[str, str | int]:
        """What the results say of it."""
        return {}

    def notes(self, experiment: Experiment) -> Iterator[tuple[int, str]]:
        """What a user should know of it: lines for the log, each with its level. Body rank."""
        return iter(())

    def transfer(self, functions: StimulusMaker, exchange: Exchange, devices: Devices, body: Body) -> StimulusMaker:
        """What makes the stimuli. Body rank."""
        return functions

    def recorder(
        self, recorder: BrainRecorder, brain: SteppedBrain, is_own: Callable[[np.ndarray], np.ndarray]
    ) -> Recorder:
        """What records spikes; ``is_own`` says which node ids are on this rank. Brain ranks."""
        return recorder

    def commands(self) -> Sequence[Obeyed]:
        """What steering has to do again, as a recorded run obeyed it. Body rank."""
        return ()

    def driven(self) -> Mapping[int, Written]:
        """What a loop in another process wrote into a recorded run, to be written again. Body rank."""
        return {}

    def repeats_until(self) -> float:
        """How many steps it goes along a recorded run, in which nothing else may change it. Body rank."""
        return 0

    def again(self, folder: RunFolder, overrides: Sequence[str]) -> NormalRun:
        """The mode of a run that begins anew after this one, whose results are in ``folder``. Body rank.

        Raises:
            ConfigurationError: this one goes along another run.
        """
        options, first = self.options, self.first or folder.path
        out = str(following(first)) if options.out else None
        return NormalRun(replace(options, out=out, overrides=joined(options.overrides, overrides)), first=first)

    def end(self, folder: RunFolder, steps: int) -> bool:
        """Called when the results of ``steps`` steps lie in ``folder``; whether they are right. Body rank."""
        return True
