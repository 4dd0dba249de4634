# SPDX-License-Identifier: GPL-2.0-or-later
"""Every pair is joined with a probability that may fall with the distance, within a mask."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cosim.network.layout import Grid, Layout, Placed, Scattered, Unplaced
from cosim.network.population import Population
from cosim.network.rules.rule import position_problems

# Planes this near to a mask's edge lie on it.
ROUNDING_MM = 1e-9


@dataclass(frozen=True)
class Box:
    """A mask: the displacements (target minus source) that are looked at, edges included."""

    lower_mm: tuple[float, ...]
    upper_mm: tuple[float, ...]


@dataclass(frozen=True)
class Bernoulli:
    """Each pair is joined with probability p_center * exp(-(dx^2 + dy^2) / (2 sigma_mm^2)); no autapses.

    Without ``sigma_mm`` the probability is p_center for every pair; without a mask every ordered pair is offered once.
    Masks are for grids, and so are distances on a sheet whose edges are joined.
    A mask wider than a wrapped target grid offers a pair once or twice per axis, each time with the probability of its
    nearest image, as NEST does with ``allow_oversized_mask`` (see ``offers``).
    """

    p_center: float
    sigma_mm: float | None = None
    mask: Box | None = None

    def problems(self) -> Iterator[str]:
        """What is wrong with the numbers, one message each."""
        if not 0 <= self.p_center <= 1:
            yield f"p_center is {self.p_center}, must lie in [0, 1]"
        if self.sigma_mm is not None and not 0 < self.sigma_mm < math.inf:
            yield f"sigma_mm is {self.sigma_mm}, must be above 0"

    def fit_problems(self, source: Population, target: Population) -> Iterator[str]:
        """Distances need positions, masks and joined edges need grids."""
        if self.sigma_mm is not None:
            yield from position_problems(f"sigma_mm is {self.sigma_mm}", source, target)
        for population in (source, target):
            if self.mask is not None and not isinstance(population.layout, Grid):
                yield f"has a mask, but {population.name} is no grid"
        layouts = source.layout, target.layout
        is_wrapped = any(isinstance(each, Grid) and each.wrapped for each in layouts)
        if self.sigma_mm is not None and is_wrapped and any(isinstance(each, Scattered) for each in layouts):
            yield f"sigma_mm is {self.sigma_mm}, but only one of both is a wrapped grid"

    def expected_synapses(self, source: Layout, target: Layout, same: bool) -> float:
        """The exact mean number of synapses; ``same`` if source and target are one population."""
        return self._moment(source, target, same, 1)

    def variance(self, source: Layout, target: Layout, same: bool) -> float:
        """Of the number of synapses: the sum of p (1 - p) over all pairs that are offered."""
        return self._moment(source, target, same, 1) - self._moment(source, target, same, 2)

    def _moment(self, source: Layout, target: Layout, same: bool, power: int) -> float:
        """The sum of p^power over all offers; on grids p is a product over axes, so its sum is too."""
        if isinstance(source, Unplaced) or isinstance(target, Unplaced):
            return self.p_center**power * (source.size * target.size - (target.size if same else 0))
        if not (isinstance(source, Grid) and isinstance(target, Grid)):
            return float(np.sum(self.probabilities(source, target, same) ** power))
        pairs = selves = self.p_center**power
        for number in range(len(target.axes)):
            offered = self.offers(source, target, number)
            pairs *= float(np.sum(offered * self.kernel(source, target, number) ** power))
            selves *= float(np.trace(offered)) if same else 0.0
        return pairs - selves

    def probabilities(self, source: Placed, target: Placed, same: bool) -> np.ndarray:
        """Of all pairs where one layout is no grid, shape (targets, sources); only x and y count."""
        distance_mm = target.positions_mm[:, None, :2] - source.positions_mm[:, :2]
        p = np.full(distance_mm.shape[:2], self.p_center)
        if self.sigma_mm is not None:
            p *= np.exp(-np.sum(distance_mm**2, axis=2) / (2 * self.sigma_mm**2))
        if same:
            np.fill_diagonal(p, 0.0)
        return p

    def kernel(self, source: Grid, target: Grid, number: int) -> np.ndarray:
        """The factor of one axis in the probability, shape (targets, sources); depth does not count."""
        distance_mm = target.axes[number].planes_mm[:, None] - source.axes[number].planes_mm
        if number > 1 or self.sigma_mm is None:
            return np.ones_like(distance_mm)
        if target.wrapped:
            period_mm = target.extent_mm[number]
            distance_mm -= period_mm * np.round(distance_mm / period_mm)
        return np.exp(-(distance_mm**2) / (2 * self.sigma_mm**2))

    def offers(self, source: Grid, target: Grid, number: int) -> np.ndarray:
        """How often axis ``number`` offers each pair of planes: integers, shape (targets, sources).

        Follows NEST 3.10 (ntree_impl.h, masked_iterator): sources are folded into one period of the target
        that starts at the lower edge of the source's box; the mask around a target is laid down with its
        lower edge in that period, and once more one period below if it sticks out at the top. Where planes
        fall onto a mask's edge the last bit decides, so the order of operations is NEST's too. What cannot
        be followed is that NEST's search tree rounds the edges of its own boxes and may miss such planes: 1 % of a
        projection was measured in M1 at 1 mm (L5B_PT -> L5A_PV), and 10 % in the cerebellum at 0.2 mm (gr -> pkj,
        where the mask is a whole number of periods wide). On a bounded grid such planes are inside.
        """
        targets_mm, sources_mm = target.axes[number].planes_mm, source.axes[number].planes_mm
        if self.mask is None:
            return np.ones((targets_mm.size, sources_mm.size), dtype=int)
        # Seen from the target the mask holds the displacements to its sources, so it is mirrored.
        low_mm, high_mm = -self.mask.upper_mm[number], -self.mask.lower_mm[number]
        if not target.wrapped:
            return _inside(sources_mm, targets_mm, low_mm - ROUNDING_MM, high_mm + ROUNDING_MM)
        period_mm = target.extent_mm[number]
        origin_mm = source.axes[number].centre_mm - source.extent_mm[number] / 2
        folded_mm = origin_mm + np.mod(sources_mm - origin_mm, period_mm)
        anchors_mm = np.mod(targets_mm + low_mm - origin_mm, period_mm) - low_mm + origin_mm
        sticks_out = anchors_mm + high_mm - origin_mm > period_mm
        second = _inside(folded_mm, anchors_mm - period_mm, low_mm, high_mm)
        return _inside(folded_mm, anchors_mm, low_mm, high_mm) + sticks_out[:, None] * second


def _inside(sources_mm: np.ndarray, anchors_mm: np.ndarray, low_mm: float, high_mm: float) -> np.ndarray:
    shift_mm = sources_mm - anchors_mm[:, None]
    return ((low_mm <= shift_mm) & (shift_mm <= high_mm)).astype(int)
