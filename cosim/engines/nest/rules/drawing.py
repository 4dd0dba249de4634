# SPDX-License-Identifier: GPL-2.0-or-later
"""What a rule needs to draw the synapses of a projection by nestlink. Brain ranks only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cosim.engines.nest.nestlink import Nestlink
from cosim.engines.nest.nestlink.connect import Nodes, Synapse
from cosim.network.population import Population


@dataclass(frozen=True)
class Drawing:
    """One projection whose populations stand in NEST, ``source_id`` and ``target_id`` being their first node ids.

    ``key`` is what its random numbers depend on besides the place of the target neuron: the same on every rank.
    """

    link: Nestlink
    source: Population
    target: Population
    source_id: int
    target_id: int
    synapse: Synapse
    key: int

    def sources(self, *shape: int) -> Nodes:
        """All sources, in order, as a grid of this shape."""
        return Nodes(self.source_id, shape)

    def targets(self, *shape: int) -> Nodes:
        """All targets, in order, as a grid of this shape."""
        return Nodes(self.target_id, shape)

    def random(self) -> np.random.Generator:
        """Random numbers that are the same on every rank."""
        return np.random.default_rng(self.key)

    def pairs(self, sources: np.ndarray, targets: np.ndarray) -> int:
        """Join sources and targets, places (n,) each, in pairs; the same arrays on all ranks.

        Returns how many of the synapses are on this rank.
        """
        return self.link.connect_pairs(self.source_id + sources, self.target_id + targets, self.synapse, self.key)
