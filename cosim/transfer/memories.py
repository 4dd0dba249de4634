# SPDX-License-Identifier: GPL-2.0-or-later
"""What transfer functions remember from call to call: their variables and their random generators."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cosim.transfer.variable import Variable


class Memories:
    """The variables and random generators of all functions of a run; a deep copy of it stands alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._own: dict[str, dict[str, Variable]] = {}
        self._shared: dict[str, Variable] = {}
        self._random: dict[str, np.random.Generator] = {}

    def variables(self, function: str, wanted: Mapping[str, Variable]) -> dict[str, Variable]:
        """Those of a function by parameter, as ``wanted`` by its text; what is remembered already stays."""
        before, self._own[function] = self._own.get(function, {}), {}
        found = {}
        for parameter, each in wanted.items():
            place, known = (self._shared, self._shared) if each.shared else (self._own[function], before)
            key = each.shared or parameter
            found[parameter] = place[key] = known[key].renewed(each) if key in known else each.fresh()
        return found

    def random(self, function: str) -> np.random.Generator:
        """The generator of a function: its numbers follow from the seed of the run and the function's name."""
        return self._random.setdefault(function, self._generator(function))

    def forget(self, function: str) -> None:
        """A function of this name begins anew, but for what it shares."""
        self._own.pop(function, None)
        self._random.pop(function, None)

    def reset(self) -> None:
        """Everything as at the beginning of the run."""
        for each in (*self._shared.values(), *(one for own in self._own.values() for one in own.values())):
            each.reset()
        for function, generator in self._random.items():
            generator.bit_generator.state = self._generator(function).bit_generator.state

    def _generator(self, function: str) -> np.random.Generator:
        return np.random.default_rng([self._seed, *function.encode()])
