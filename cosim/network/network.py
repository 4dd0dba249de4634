# SPDX-License-Identifier: GPL-2.0-or-later
"""A spiking network as tables: populations, projections between them, drives.

Pure data, the same on all ranks; nothing here imports NEST. ``cosim.engines.nest.building`` turns a network into
NEST nodes and connections. Lengths are in mm, times in ms, potentials in mV; weights are in the unit of the
target's neuron model (nS for conductance-based cells, pA for current-based ones); a negative weight is inhibitory.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property

import numpy as np

from cosim.network.counting import MOST_NODES, longest_delay_ms
from cosim.network.layout import Grid, Layout
from cosim.network.population import Population
from cosim.network.rules.rule import Rule
from cosim.network.values import Constant, Weight
from cosim.timegrid import is_multiple


class NetworkError(ValueError):
    """A network whose tables do not fit together; ``problems`` is the list of all messages."""

    def __init__(self, problems: list[str]):
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Projection:
    """Synapses from one population onto another, or onto itself.

    ``synapse_parameters`` are those that all its synapses share; ``receptor`` is the port of a target that has several.
    """

    source: str
    target: str
    rule: Rule
    weight: Weight
    delay_ms: float
    receptor: int = 0
    synapse_model: str = "static_synapse"
    synapse_parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Drive:
    """Poisson spikes of ``rate_hz`` from ``start_ms`` on, an independent train for every neuron from ``first`` on."""

    population: str
    rate_hz: float
    weight: float
    delay_ms: float
    start_ms: float = 0.0
    first: int = 0
    receptor: int = 0


@dataclass(frozen=True)
class Network:
    """Everything that is needed to build a brain; names of populations are unique."""

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...] = ()
    drives: tuple[Drive, ...] = ()

    @cached_property
    def by_name(self) -> dict[str, Population]:
        return {population.name: population for population in self.populations}

    @property
    def sizes(self) -> dict[str, int]:
        """Number of neurons of each population, relays included."""
        return {population.name: population.size for population in self.populations}

    @property
    def receptors(self) -> dict[str, range]:
        """Ports for spikes of the populations of which they are known."""
        return {each.name: each.receptors for each in self.populations if each.receptors is not None}

    def ends(self, projection: Projection) -> tuple[Population, Population]:
        """Source and target of a projection."""
        return self.by_name[projection.source], self.by_name[projection.target]

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
    return np.array([_moment(network, each, "expected_synapses") for each in network.projections])


def synapse_variance(network: Network) -> np.ndarray:
    """Variance of the number of synapses of each projection over seeds, shape (projections,)."""
    return np.array([_moment(network, each, "variance") for each in network.projections])


def _moment(network: Network, projection: Projection, which: str) -> float:
    source, target = network.ends(projection)
    return getattr(projection.rule, which)(source.layout, target.layout, source is target)


def drive_links(network: Network) -> int:
    """Connections from Poisson generators to neurons, one for every neuron that is driven."""
    return sum(network.by_name[each.population].size - each.first for each in network.drives)


# What can be wrong with the tables


def _population_problems(network: Network) -> Iterator[str]:
    for name, times in Counter(each.name for each in network.populations).items():
        if times > 1:
            yield f"population {name}: listed {times} times, names must be unique"
    for population in network.populations:
        where, layout = f"population {population.name}", population.layout
        if population.size < 1:
            yield f"{where} of region {population.region}: is empty{_counts(layout)}, must have at least 1 neuron"
        if population.size > MOST_NODES:
            yield f"{where}: has {population.size:.3g} neurons, NEST can count {MOST_NODES:.3g}"
        if isinstance(layout, Grid):
            yield from _extent_problems(where, layout)


def _counts(layout: Layout) -> str:
    return f" (grid {' x '.join(str(axis.count) for axis in layout.axes)})" if isinstance(layout, Grid) else ""


def _extent_problems(where: str, grid: Grid) -> Iterator[str]:
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
        if {projection.source, projection.target} <= network.by_name.keys():
            for problem in projection.rule.fit_problems(*network.ends(projection)):
                yield f"{where}: {problem}"
            yield from receptor_problems(where, network.by_name[projection.target], projection.receptor)
        yield from _weight_problems(where, projection.weight)
        yield from _delay_problems(where, projection.delay_ms, resolution_ms)


def receptor_problems(where: str, target: Population, receptor: int) -> Iterator[str]:
    """A synapse must end at a port that its target has."""
    if target.receptors is not None and receptor not in target.receptors:
        allowed = " or ".join(map(str, target.receptors))
        yield f"{where}: receptor is {receptor}, must be {allowed} for {target.neuron_model} in {target.name}"


def _weight_problems(where: str, weight: Weight) -> Iterator[str]:
    for name, number in asdict(weight).items():
        if not math.isfinite(number):
            yield f"{where}: weight has {name} {number}, must be a finite number"
        elif name == "sigma" and number < 0:
            yield f"{where}: weight has {name} {number}, must be 0 or more"


def _drive_problems(network: Network, resolution_ms: float) -> Iterator[str]:
    for number, drive in enumerate(network.drives):
        where = f"drive {number} ({drive.population})"
        yield from _name_problems(network, f"{where}: population", drive.population)
        if drive.population in network.by_name:
            yield from receptor_problems(where, network.by_name[drive.population], drive.receptor)
        if not 0 <= drive.rate_hz < math.inf:
            yield f"{where}: rate_hz is {drive.rate_hz}, must be 0 or more"
        yield from _weight_problems(where, Constant(drive.weight))
        if drive.start_ms and not is_multiple(drive.start_ms, resolution_ms):
            allowed = f"must be 0 or a positive multiple of clock.resolution_ms = {resolution_ms}"
            yield f"{where}: start_ms is {drive.start_ms}, {allowed}"
        yield from _delay_problems(where, drive.delay_ms, resolution_ms)


def _name_problems(network: Network, where: str, name: str) -> Iterator[str]:
    if name not in network.by_name:
        yield f"{where} '{name}' is no population; there are {', '.join(network.by_name) or 'none'}"


def _delay_problems(where: str, delay_ms: float, resolution_ms: float) -> Iterator[str]:
    if not is_multiple(delay_ms, resolution_ms):
        allowed = f"must be a positive multiple of clock.resolution_ms = {resolution_ms}"
        yield f"{where}: delay_ms is {delay_ms}, {allowed}"
    elif delay_ms > (longest_ms := longest_delay_ms(resolution_ms)):
        allowed = f"must be at most {longest_ms:g} with clock.resolution_ms = {resolution_ms}"
        yield f"{where}: delay_ms is {delay_ms}, {allowed}"
