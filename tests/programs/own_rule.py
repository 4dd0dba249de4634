# SPDX-License-Identifier: GPL-2.0-or-later
"""A connection rule of one's own, drawn in NEST by the build that every run makes: ``... OUT``, alone or under MPI.

OUT gets the synapses of this rank, and how many the build counted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cosim.engines.nest.rules.drawing import Drawing
from cosim.engines.nest.rules.registry import RULES
from cosim.engines.nest.rules.rule_in_nest import RuleInNest
from cosim.network import Constant, Network, Population, Projection, Unplaced
from cosim.network.layout import Layout


@dataclass(frozen=True)
class EveryNth:
    """Every target gets all sources whose number is a multiple of ``n``."""

    n: int

    def problems(self) -> Iterator[str]:
        if self.n < 1:
            yield f"n is {self.n}, must be 1 or more"

    def fit_problems(self, source: Population, target: Population) -> Iterator[str]:
        if self.n > source.size:
            yield f"n is {self.n}, but {source.name} has {source.size} neurons"

    def expected_synapses(self, source: Layout, target: Layout, same: bool) -> float:
        return float(len(range(0, source.size, self.n)) * target.size)

    def variance(self, source: Layout, target: Layout, same: bool) -> float:
        return 0.0


def draw(rule: EveryNth, drawing: Drawing) -> int:
    targets, sources = np.mgrid[0 : drawing.target.size, 0 : drawing.source.size : rule.n]
    return drawing.pairs(sources.ravel(), targets.ravel())


IN_NEST = RuleInNest(draw)


def network(n: int) -> Network:
    """Ten neurons onto four, and the four among themselves."""
    populations = tuple(
        Population(name, "R", "iaf_psc_alpha", {}, Unplaced(size)) for name, size in (("A", 10), ("B", 4))
    )
    ends = ("A", "B"), ("B", "B")
    return Network(populations, tuple(Projection(*each, EveryNth(n), Constant(2.5), 1.5) for each in ends))


def main(out: str, wiring: str) -> None:
    """Build, and write what NEST has."""
    from mpi4py import MPI

    from cosim.engines.nest import kernel
    from cosim.engines.nest.built_network import build_network

    RULES[EveryNth] = IN_NEST
    started = kernel.start(MPI.COMM_WORLD, 2, 1, 0.1)
    built = build_network(started, network(3), wiring, lambda _phase: None)
    found = started.nest.GetConnections().get(["source", "target", "weight"])
    np.savez(out, counted=built.local_synapses["R"], **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
