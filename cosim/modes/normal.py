# SPDX-License-Identifier: GPL-2.0-or-later
"""The normal mode: a run computes everything from its experiment.

Resuming and replaying are modes too: they derive from this one and replace the methods where a recorded run decides,
such as where results go or what the stimuli are. The body rank makes the mode; all ranks get a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosim.body.kind import Body
from cosim.devices.devices import Devices
from cosim.engines.engine import SteppedBrain
from cosim.experiment.config import Experiment, load
from cosim.experiment.options import Options
from cosim.parallel.exchange import Exchange
from cosim.record.folder import RunFolder, make_folder
from cosim.record.recorder import BrainRecorder, Recorder
from cosim.transfer import StimulusMaker, TransferFunctions


@dataclass(frozen=True)
class NormalRun:
    """A run from an experiment, which needs no recorded run."""

    options: Options

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

    def transfer(self, functions: TransferFunctions, exchange: Exchange, devices: Devices, body: Body) -> StimulusMaker:
        """What makes the stimuli. Body rank."""
        return functions

    def recorder(
        self, recorder: BrainRecorder, brain: SteppedBrain, is_own: Callable[[np.ndarray], np.ndarray]
    ) -> Recorder:
        """What records spikes; ``is_own`` says which node ids are on this rank. Brain ranks."""
        return recorder

    def end(self, folder: RunFolder, steps: int) -> bool:
        """Called when the results of ``steps`` steps lie in ``folder``; whether they are right. Body rank."""
        return True
