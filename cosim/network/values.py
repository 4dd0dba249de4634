# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers that a network's tables give or leave to chance: weights, parameters and potentials at the start.

Distributions over neurons and synapses are drawn with random numbers of the brain's virtual processes or of the
target neuron, so that they do not depend on how the brain is split into ranks and threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Constant:
    """The same value for everything."""

    value: float


@dataclass(frozen=True)
class Lognormal:
    """exp(mu + sigma * z) with z standard normal."""

    mu: float
    sigma: float


@dataclass(frozen=True)
class Uniform:
    """A value of its own for every neuron, uniform in [low, high)."""

    low: float
    high: float


@dataclass(frozen=True)
class Normal:
    """A value of its own for every neuron, normal."""

    mean: float
    standard_deviation: float


@dataclass(frozen=True)
class UniformOnce:
    """One potential for the whole population, uniform in [low_mv, high_mv)."""

    low_mv: float
    high_mv: float

    def draw_mv(self, population: str, seed: int) -> float:
        """Depends on nothing but the population's name and the experiment's seed: the same on every rank."""
        sequence = np.random.SeedSequence([seed, *b"V_m ", *population.encode()])
        return float(np.random.default_rng(sequence).uniform(self.low_mv, self.high_mv))


Weight = Constant | Lognormal
Parameter = float | tuple[float, ...] | Uniform | Normal
Start = Constant | UniformOnce | Uniform | Normal
