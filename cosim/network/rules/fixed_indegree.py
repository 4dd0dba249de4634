# SPDX-License-Identifier: GPL-2.0-or-later
"""Every target has the same number of sources, drawn at random."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from cosim.network.layout import Layout
from cosim.network.population import Population
from cosim.network.rules.rule import position_problems


@dataclass(frozen=True)
class FixedIndegree:
    """Every target draws ``indegree`` sources, with replacement; a neuron may be its own source if ``allow_autapses``.

    With ``radius_mm`` sources come from a circle around the target; where the circle is empty, which happens when
    few neurons stand for many, from the neuron nearest to it.
    """

    indegree: int
    radius_mm: float | None = None
    allow_autapses: bool = True

    def problems(self) -> Iterator[str]:
        """What is wrong with the numbers, one message each."""
        if self.indegree < 0:
            yield f"indegree is {self.indegree}, must be 0 or more"
        if self.radius_mm is not None and not 0 < self.radius_mm < math.inf:
            yield f"radius_mm is {self.radius_mm}, must be above 0"

    def fit_problems(self, source: Population, target: Population) -> Iterator[str]:
        """A neuron that is alone has no source but itself; a circle needs positions."""
        if self.indegree and not self.allow_autapses and source is target and source.size == 1:
            yield f"indegree is {self.indegree} without autapses, but {source.name} is a single neuron"
        if self.radius_mm is not None:
            yield from position_problems(f"radius_mm is {self.radius_mm}", source, target)

    def expected_synapses(self, source: Layout, target: Layout, same: bool) -> float:
        """Exact, not only on average."""
        return float(self.indegree * target.size)

    def variance(self, source: Layout, target: Layout, same: bool) -> float:
        """The number is always the same."""
        return 0.0
