# SPDX-License-Identifier: GPL-2.0-or-later
"""Some sources are each joined with a target of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cosim.network.layout import Layout
from cosim.network.population import Population


@dataclass(frozen=True)
class OneToOne:
    """``count`` sources, chosen at random and kept in order, onto as many targets from ``first_target`` on."""

    count: int
    first_target: int = 0

    def problems(self) -> Iterator[str]:
        """What is wrong with the numbers, one message each."""
        if self.count < 0 or self.first_target < 0:
            yield f"count is {self.count} and first_target {self.first_target}, both must be 0 or more"

    def fit_problems(self, source: Population, target: Population) -> Iterator[str]:
        """There must be as many sources and targets as are joined."""
        for end, first, size in (("source", 0, source.size), ("target", self.first_target, target.size)):
            if self.count > size - first:
                yield f"needs {self.count} {end}s from number {first} on, but {size} neurons are there"

    def expected_synapses(self, source: Layout, target: Layout, same: bool) -> float:
        """Exact, not only on average."""
        return float(self.count)

    def variance(self, source: Layout, target: Layout, same: bool) -> float:
        """The number is always the same."""
        return 0.0
