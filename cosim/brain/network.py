# SPDX-License-Identifier: GPL-2.0-or-later
"""A spiking network as tables: populations, projections between them, drives.

Pure data, the same on all ranks; nothing here imports NEST. ``cosim.brain.build`` turns a network into
NEST nodes and connections. Lengths are in mm, times in ms, potentials in mV; weights are in the unit of the
target's neuron model (nS for conductance-based cells) and a negative weight is inhibitory.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosim.config import is_multiple


class NetworkError(ValueError):
    """A network whose tables do not fit together; ``problems`` is the list of all messages."""

    def __init__(self, problems: list[str]):
        super().__init__("\n".join(problems))
        self.problems = problems


# Where the neurons are


@dataclass(frozen=True)
class Axis:
    """``count`` equally spaced planes from ``low_mm`` to ``high_mm``, both included.

    A single plane lies at ``low_mm``.
    """

    count: int
    low_mm: float
    high_mm: float

    @cached_property
    def planes_mm(self) -> np.ndarray:
        """Coordinates in ascending order, shape (count,)."""
        return np.linspace(self.low_mm, self.high_mm, self.count)

    @property
    def span_mm(self) -> float:
        """Distance of the outermost planes, 0 for a single one."""
        return self.high_mm - self.low_mm if self.count > 1 else 0.0

    @property
    def centre_mm(self) -> float:
        return (self.planes_mm[0] + self.planes_mm[-1]) / 2


@dataclass(frozen=True)
class Grid:
    """A regular grid in a box of ``extent_mm`` about its centre; ``wrapped`` joins opposite faces."""

    axes: tuple[Axis, ...]
    extent_mm: tuple[float, ...]
    wrapped: bool

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(axis.count for axis in self.axes)

    @property
    def positions_mm(self) -> np.ndarray:
        """Shape (size, dimensions); node order: the last axis runs fastest, as in C arrays."""
        planes = np.meshgrid(*(axis.planes_mm for axis in self.axes), indexing="ij")
        return np.stack([plane.ravel() for plane in planes], axis=1)


@dataclass(frozen=True)
class UniformOnce:
    """One potential for the whole population, uniform in [low_mv, high_mv)."""

    low_mv: float
    high_mv: float

    def draw_mv(self, population: str, seed: int) -> float:
        """Depends on nothing but the population's name and the experiment's seed: the same on every rank."""
        sequence = np.random.SeedSequence([seed, *b"V_m ", *population.encode()])
        return float(np.random.default_rng(sequence).uniform(self.low_mv, self.high_mv))


@dataclass(frozen=True)
class Population:
    """Neurons of one kind; ``parameters`` have NEST's names and units, ``v_m`` is the rule for the start."""

    name: str
    region: str
    layer: str
    cell_type: str
    neuron_model: str
    parameters: Mapping[str, float]
    grid: Grid
    v_m: UniformOnce

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.grid.size


# How they are joined


@dataclass(frozen=True)
class Constant:
    """The same weight for every synapse."""

    value: float


@dataclass(frozen=True)
class Lognormal:
    """Weights exp(mu + sigma * z) with z standard normal; their mean is exp(mu + sigma^2 / 2)."""

    mu: float
    sigma: float


@dataclass(frozen=True)
class Box:
    """A mask: the displacements (target minus source) that are looked at, edges included."""

    lower_mm: tuple[float, ...]
    upper_mm: tuple[float, ...]


@dataclass(frozen=True)
class GaussianBernoulli:
    """Each pair is joined with probability p_center * exp(-(dx^2 + dy^2) / (2 sigma_mm^2)); no autapses.

    Without a mask every ordered pair is offered once. A mask wider than a wrapped target grid offers a pair
    once or twice per axis, each time with the probability of its nearest image, as NEST does with
    ``allow_oversized_mask`` (see ``offers``).
    """

    p_center: float
    sigma_mm: float
    mask: Box | None = None

    def problems(self) -> Iterator[str]:
        """What is wrong with the numbers, one message each."""
        if not 0 <= self.p_center <= 1:
            yield f"p_center is {self.p_center}, must lie in [0, 1]"
        if not 0 < self.sigma_mm < math.inf:
            yield f"sigma_mm is {self.sigma_mm}, must be above 0"

    def expected_synapses(self, source: Population, target: Population) -> float:
        """The exact mean number of synapses; the kernel is a product over axes, so its sum is too."""
        pairs = selves = self.p_center
        for number in range(len(target.grid.axes)):
            offered = self.offers(source.grid, target.grid, number)
            kernel = self._kernel(source.grid, target.grid, number)
            pairs *= float(np.sum(offered * kernel))
            selves *= float(np.trace(offered))
        return pairs - selves if source.name == target.name else pairs

    def _kernel(self, source: Grid, target: Grid, number: int) -> np.ndarray:
        """The factor of one axis in the probability, shape (targets, sources); depth does not count."""
        distance_mm = target.axes[number].planes_mm[:, None] - source.axes[number].planes_mm
        if number > 1:
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
        be followed is that NEST's search tree rounds the edges of its own boxes and may miss such planes: up
        to 1 % of a projection was measured (M1 at 1 mm, L5B_PT -> L5A_PV).
        """
        targets_mm, sources_mm = target.axes[number].planes_mm, source.axes[number].planes_mm
        if self.mask is None:
            return np.ones((targets_mm.size, sources_mm.size), dtype=int)
        # Seen from the target the mask holds the displacements to its sources, so it is mirrored.
        low_mm, high_mm = -self.mask.upper_mm[number], -self.mask.lower_mm[number]
        if not target.wrapped:
            return _inside(sources_mm, targets_mm, low_mm, high_mm)
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


@dataclass(frozen=True)
class Projection:
    """Synapses from one population onto another, or onto itself."""

    source: str
    target: str
    rule: GaussianBernoulli
    weight: Constant | Lognormal
    delay_ms: float
    synapse_model: str = "static_synapse"


@dataclass(frozen=True)
class Drive:
    """Poisson spikes of ``rate_hz`` from ``start_ms`` on, an independent train for every neuron."""

    population: str
    rate_hz: float
    weight_ns: float
    delay_ms: float
    start_ms: float


@dataclass(frozen=True)
class Network:
    """Everything that is needed to build a brain; names of populations are unique."""

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    drives: tuple[Drive, ...]

    @cached_property
    def by_name(self) -> dict[str, Population]:
        return {population.name: population for population in self.populations}

    def check(self, resolution_ms: float) -> None:
        """Raise NetworkError with all problems of all tables; delays and starts must lie on the time grid."""
        found = [
            *_population_problems(self),
            *_projection_problems(self, resolution_ms),
            *_drive_problems(self, resolution_ms),
        ]
        if found:
            raise NetworkError(found)


def expected_synapses(network: Network) -> np.ndarray:
    """Exact mean number of synapses of each projection, shape (projections,); drives are not counted."""
    ends = [(network.by_name[each.source], network.by_name[each.target]) for each in network.projections]
    rules = [each.rule for each in network.projections]
    return np.array([rule.expected_synapses(*pair) for rule, pair in zip(rules, ends, strict=True)])


# What can be wrong with the tables


def _population_problems(network: Network) -> Iterator[str]:
    for name, times in Counter(each.name for each in network.populations).items():
        if times > 1:
            yield f"population {name}: listed {times} times, names must be unique"
    for population in network.populations:
        where, grid = f"population {population.name}", population.grid
        if population.size < 1:
            counts = " x ".join(str(axis.count) for axis in grid.axes)
            yield f"{where}: is empty (grid {counts}), must have at least 1 neuron"
        for number, (axis, extent_mm) in enumerate(zip(grid.axes, grid.extent_mm, strict=True)):
            if not extent_mm > axis.span_mm:
                yield f"{where}: extent_mm[{number}] is {extent_mm}, must be above the span {axis.span_mm} mm"


def _projection_problems(network: Network, resolution_ms: float) -> Iterator[str]:
    for number, projection in enumerate(network.projections):
        where = f"projection {number} ({projection.source} -> {projection.target})"
        for end, name in (("source", projection.source), ("target", projection.target)):
            yield from _name_problems(network, f"{where}: {end}", name)
        for problem in projection.rule.problems():
            yield f"{where}: {problem}"
        yield from _delay_problems(where, projection.delay_ms, resolution_ms)


def _drive_problems(network: Network, resolution_ms: float) -> Iterator[str]:
    for number, drive in enumerate(network.drives):
        where = f"drive {number} ({drive.population})"
        yield from _name_problems(network, f"{where}: population", drive.population)
        if not 0 <= drive.rate_hz < math.inf:
            yield f"{where}: rate_hz is {drive.rate_hz}, must be 0 or more"
        if drive.start_ms and not is_multiple(drive.start_ms, resolution_ms):
            allowed = f"must be 0 or a positive multiple of the resolution {resolution_ms} ms"
            yield f"{where}: start_ms is {drive.start_ms}, {allowed}"
        yield from _delay_problems(where, drive.delay_ms, resolution_ms)


def _name_problems(network: Network, where: str, name: str) -> Iterator[str]:
    if name not in network.by_name:
        yield f"{where} '{name}' is no population; there are {', '.join(network.by_name) or 'none'}"


def _delay_problems(where: str, delay_ms: float, resolution_ms: float) -> Iterator[str]:
    if not is_multiple(delay_ms, resolution_ms):
        allowed = f"must be a positive multiple of the resolution {resolution_ms} ms"
        yield f"{where}: delay_ms is {delay_ms}, {allowed}"
