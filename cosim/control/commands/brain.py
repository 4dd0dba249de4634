# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands for the brain: parameters of its neurons, weights of its projections."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from cosim.control.commands.base import Answer, Command
from cosim.control.steered_run import SteeredRun
from cosim.engines.engine import NODE_IDS


class BrainCommand(Command):
    """What changes the brain itself."""

    def is_repeated(self, brain_alone: bool) -> bool:
        """In a replay, too."""
        return True


class SetPopulation(BrainCommand):
    """Set NEST parameters of all neurons of a population, or of a part such as ``E[0:10]``; acts from the next step."""

    command: Literal["set_population"] = "set_population"
    population: str
    parameters: dict[str, float] = Field(min_length=1)

    def act(self, run: SteeredRun) -> None:
        run.brain.change("set_parameters", population=self.population, values=self.parameters)


class GetPopulation(Command):
    """Look at NEST parameters and variables of a population or a part of it: a value for each neuron, by name."""

    command: Literal["get_population"] = "get_population"
    population: str
    parameters: list[str] = Field(min_length=1)
    is_recorded: ClassVar[bool] = False

    def is_repeated(self, brain_alone: bool) -> bool:
        """It changes nothing."""
        return False

    def act(self, run: SteeredRun) -> Answer:
        names = list(dict.fromkeys(self.parameters))
        of_ranks = run.brain.look("parameters", population=self.population, names=names)
        order = np.argsort(np.concatenate([each[NODE_IDS] for each in of_ranks]))
        return {"parameters": {name: np.concatenate([each[name] for each in of_ranks])[order] for name in names}}


class ScaleWeights(BrainCommand):
    """Multiply the weights of all synapses from one population to another; acts on spikes that arrive from now on."""

    command: Literal["scale_weights"] = "scale_weights"
    source: str
    target: str
    factor: float

    def act(self, run: SteeredRun) -> Answer:
        scaled = run.brain.change("scale_weights", source=self.source, target=self.target, factor=self.factor)
        return {"synapses": sum(scaled)}
