# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairwise Bernoulli trials in NEST.

Grids make a pair's probability a product over axes, so that nestlink jumps from synapse to synapse instead of visiting
every pair.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from cosim.engines.nest.nestlink.connect import AxisOffers, Nodes
from cosim.engines.nest.rules.drawing import Drawing
from cosim.engines.nest.rules.rule_in_nest import ConnectionSpec, RuleInNest
from cosim.network.layout import Grid, Placed, Unplaced
from cosim.network.population import Population
from cosim.network.rules import Bernoulli


def draw(rule: Bernoulli, drawing: Drawing) -> int:
    """Draw by whatever is fastest for the layouts; returns how many synapses are on this rank."""
    source, target = drawing.source.layout, drawing.target.layout
    if isinstance(source, Unplaced) or isinstance(target, Unplaced):
        return _unplaced(rule, drawing)
    if isinstance(source, Grid) and isinstance(target, Grid):
        return _grids(rule, source, target, drawing)
    return _scattered(rule, source, target, drawing)


def _grids(rule: Bernoulli, source: Grid, target: Grid, drawing: Drawing) -> int:
    axes = [_offers(rule, source, target, number) for number in range(len(target.axes))]
    return _connect(drawing, drawing.sources(*_shape(source)), drawing.targets(*_shape(target)), axes)


def _shape(grid: Grid) -> tuple[int, ...]:
    return tuple(axis.count for axis in grid.axes)


def _offers(rule: Bernoulli, source: Grid, target: Grid, number: int) -> AxisOffers:
    """What an axis contributes; the first one carries the probability at the centre."""
    factor = rule.kernel(source, target, number) * (rule.p_center if number == 0 else 1.0)
    return AxisOffers.from_table(rule.offers(source, target, number), factor)


def _unplaced(rule: Bernoulli, drawing: Drawing) -> int:
    """One probability for all pairs: a grid with sources along one axis and targets along the other."""
    n_sources, n_targets = drawing.source.size, drawing.target.size
    one_each = AxisOffers(np.arange(n_targets + 1), np.zeros(n_targets, "i4"), np.ones(n_targets))
    factors = np.full(n_sources, rule.p_center)
    everyone = AxisOffers(np.array([0, n_sources]), np.arange(n_sources, dtype="i4"), factors)
    return _connect(drawing, drawing.sources(1, n_sources), drawing.targets(n_targets, 1), [one_each, everyone])


def _connect(drawing: Drawing, sources: Nodes, targets: Nodes, axes: list[AxisOffers]) -> int:
    return drawing.link.connect_bernoulli(sources, targets, axes, drawing.synapse, drawing.key)


def _scattered(rule: Bernoulli, source: Placed, target: Placed, drawing: Drawing) -> int:
    """All pairs are looked at: scattered nuclei are small."""
    same = drawing.source is drawing.target
    p = rule.probabilities(source, target, same)
    targets, sources = np.nonzero(drawing.random().random(p.shape) < p)
    return drawing.pairs(sources, targets)


def spec(rule: Bernoulli, source: Population, target: Population) -> ConnectionSpec | None:
    """NEST's pairwise_bernoulli: between grids its spatial one, where distance does not count its plain one."""
    are_grids = all(isinstance(each.layout, Grid) for each in (source, target))
    if not are_grids and (rule.sigma_mm is not None or rule.mask is not None):
        return None
    return lambda nest: _spec(rule, nest)


def _spec(rule: Bernoulli, nest: ModuleType) -> dict[str, Any]:
    """Displacements are measured in the target's layer."""
    distance, sigma_mm, p = nest.spatial.distance, rule.sigma_mm, rule.p_center
    if sigma_mm is not None:
        p = p * nest.spatial_distributions.gaussian2D(distance.x, distance.y, std_x=sigma_mm, std_y=sigma_mm)
    found = {"rule": "pairwise_bernoulli", "p": p, "allow_autapses": False}
    if rule.mask is not None:
        box = {"lower_left": list(rule.mask.lower_mm), "upper_right": list(rule.mask.upper_mm)}
        found |= {"mask": {"box": box}, "allow_oversized_mask": True}
    return found


IN_NEST = RuleInNest(draw, spec)
