# SPDX-License-Identifier: GPL-2.0-or-later
"""Projections drawn by nestlink, many times faster than by NEST's own rules, and the same on every split.

Each target neuron has its own stream of random numbers that depends on the seed, the projection and the neuron's place
in its population, and on nothing else: the same network for any number of ranks, threads and virtual processes. Grids
make a pair's probability a product over axes, so that nestlink jumps from synapse to synapse instead of visiting every
pair. Brain ranks only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from cosim.engines.nest.nestlink import Nestlink
from cosim.engines.nest.nestlink.connect import AxisOffers, Nodes, Synapse
from cosim.network.layout import Grid, Unplaced
from cosim.network.network import Network, Population, Projection
from cosim.network.rules import Bernoulli, FixedIndegree, OneToOne
from cosim.network.values import Constant


class Wiring:
    """Draws the projections of a network whose populations stand in NEST, ``first_ids`` being their first node ids."""

    def __init__(self, link: Nestlink, network: Network, first_ids: Mapping[str, int], seed: int) -> None:
        self._link, self._network, self._first_ids = link, network, first_ids
        self._keys = _keys(network, seed)

    def __call__(self, number: int, synapse_model: str) -> int:
        """Draw a projection of the network as synapses of this model; returns how many of them are on this rank."""
        projection = self._network.projections[number]
        source, target = self._network.ends(projection)
        synapse = Synapse(synapse_model, _weight(projection), projection.delay_ms, projection.receptor)
        key, rule = self._keys[number], projection.rule
        if isinstance(rule, FixedIndegree):
            return self._indegree(rule, source, target, synapse, key)
        if isinstance(rule, OneToOne):
            return self._pairs(_one_to_one(rule, source, key), source, target, synapse, key)
        if isinstance(source.layout, Unplaced) or isinstance(target.layout, Unplaced):
            return self._unplaced(rule, source, target, synapse, key)
        if isinstance(source.layout, Grid) and isinstance(target.layout, Grid):
            axes = [_offers(rule, source.layout, target.layout, number) for number in range(len(target.layout.axes))]
            return self._link.connect_bernoulli(self._grid(source), self._grid(target), axes, synapse, key)
        return self._pairs(_scattered(rule, source, target, key), source, target, synapse, key)

    def _grid(self, population: Population) -> Nodes:
        return Nodes(self._first_ids[population.name], tuple(axis.count for axis in population.layout.axes))

    def _unplaced(self, rule: Bernoulli, source: Population, target: Population, synapse: Synapse, key: int) -> int:
        """One probability for all pairs: a grid with sources along one axis and targets along the other."""
        sources = Nodes(self._first_ids[source.name], (1, source.size))
        targets = Nodes(self._first_ids[target.name], (target.size, 1))
        one_each = AxisOffers(np.arange(target.size + 1), np.zeros(target.size, "i4"), np.ones(target.size))
        factors = np.full(source.size, rule.p_center)
        everyone = AxisOffers(np.array([0, source.size]), np.arange(source.size, dtype="i4"), factors)
        return self._link.connect_bernoulli(sources, targets, [one_each, everyone], synapse, key)

    def _indegree(self, rule: FixedIndegree, source: Population, target: Population, synapse: Synapse, key: int) -> int:
        placed = rule.radius_mm is not None
        positions_mm = tuple(each.layout.positions_mm[:, :2] for each in (source, target)) if placed else None
        return self._link.connect_indegree(
            Nodes(self._first_ids[source.name], (source.size,)),
            Nodes(self._first_ids[target.name], (target.size,)),
            rule.indegree,
            synapse,
            key,
            positions=positions_mm,
            radius_mm=rule.radius_mm,
            allow_autapses=rule.allow_autapses,
            nearest_if_empty=True,
        )

    def _pairs(
        self, pairs: tuple[np.ndarray, np.ndarray], source: Population, target: Population, synapse: Synapse, key: int
    ) -> int:
        sources, targets = pairs
        source_ids, target_ids = self._first_ids[source.name] + sources, self._first_ids[target.name] + targets
        return self._link.connect_pairs(source_ids, target_ids, synapse, key)


def _keys(network: Network, seed: int) -> list[int]:
    """One key per projection, from the seed, the names of both ends, the receptor and how many like it came before.

    A projection is drawn alike whatever other regions are built.
    """
    seen: Counter[str] = Counter()
    keys = []
    for projection in network.projections:
        name = f"{projection.source} -> {projection.target} {projection.receptor}"
        sequence = np.random.SeedSequence([seed, seen[name], *name.encode()])
        keys.append(int(sequence.generate_state(1, np.uint64)[0]))
        seen[name] += 1
    return keys


def _weight(projection: Projection) -> float | tuple[float, float]:
    weight = projection.weight
    return weight.value if isinstance(weight, Constant) else (weight.mu, weight.sigma)


def _offers(rule: Bernoulli, source: Grid, target: Grid, number: int) -> AxisOffers:
    """What an axis contributes; the first one carries the probability at the centre."""
    factor = rule.kernel(source, target, number) * (rule.p_center if number == 0 else 1.0)
    return AxisOffers.from_table(rule.offers(source, target, number), factor)


def _one_to_one(rule: OneToOne, source: Population, key: int) -> tuple[np.ndarray, np.ndarray]:
    chosen = np.random.default_rng(key).choice(source.size, rule.count, replace=False)
    return np.sort(chosen), rule.first_target + np.arange(rule.count)


def _scattered(rule: Bernoulli, source: Population, target: Population, key: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs are looked at: scattered nuclei are small."""
    p = rule.probabilities(source.layout, target.layout, source is target)
    targets, sources = np.nonzero(np.random.default_rng(key).random(p.shape) < p)
    return sources, targets
