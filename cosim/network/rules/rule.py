# SPDX-License-Identifier: GPL-2.0-or-later
"""What a connection rule is: pure data that says which neurons of two populations are joined.

An engine draws the synapses: NEST by what is in ``cosim.engines.nest.rules``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from cosim.network.layout import Layout, Unplaced
from cosim.network.population import Population


class Rule(Protocol):
    """A connection rule with its numbers, such as a probability; a frozen dataclass."""

    def problems(self) -> Iterator[str]:
        """What is wrong with the numbers, one message each."""

    def fit_problems(self, source: Population, target: Population) -> Iterator[str]:
        """What the rule asks for and these populations do not have, one message each; they may be one population."""

    def expected_synapses(self, source: Layout, target: Layout, same: bool) -> float:
        """The exact mean number of synapses; ``same`` if source and target are one population."""

    def variance(self, source: Layout, target: Layout, same: bool) -> float:
        """Of the number of synapses over seeds; 0 where the number is always the same."""


def position_problems(what: str, source: Population, target: Population) -> Iterator[str]:
    """``what`` a rule asks for needs positions."""
    for population in (source, target):
        if isinstance(population.layout, Unplaced):
            yield f"{what}, but {population.name} has no positions"
