# SPDX-License-Identifier: GPL-2.0-or-later
"""Network tables become NEST nodes and connections: create, connect, drive, in this order.

Three functions so that the caller can time the phases and count synapses before devices. Each is called on
all brain ranks with the same arguments and communicates only inside NEST, where even reading a kernel
attribute such as ``nest.num_connections`` is a collective call. ``nest`` is the imported module; its
communicator, resolution, virtual processes and ``rng_seed`` are set by the caller before ``create``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from cosim.engines.nest.nestlink import NestlinkError
from cosim.errors import BrainError
from cosim.network.layout import Grid, Layout, Scattered
from cosim.network.network import Drive, Network, Projection
from cosim.network.population import Population
from cosim.network.values import Constant, Normal, Uniform, UniformOnce

NodeCollection = Any  # NEST's type; this module does not import NEST
# Draws the synapses of a projection, told by its number, as the given model; returns how many are on this rank.
Wire = Callable[[int, str], int]


@dataclass
class CreatedNetwork:
    """What stands in NEST so far, by population name.

    ``local_synapses`` has one count per projection, in the order of ``network.projections``: synapses onto
    neurons of this rank, without drives. The sum over ranks is the caller's.
    """

    network: Network
    nodes: dict[str, NodeCollection]
    local_synapses: list[int] = field(default_factory=list)


@contextmanager
def said_of(what: str, *errors: type[Exception]) -> Iterator[None]:
    """What the block refuses by one of these ``errors`` becomes a BrainError that says of ``what`` it was said."""
    try:
        yield
    except errors as error:
        raise BrainError(f"{what}: {type(error).__name__}: {error}") from None


def create(network: Network, nest: ModuleType, seed: int, placed: bool = True) -> CreatedNetwork:
    """Check the tables, then create all populations with their initial potentials.

    ``seed`` is the experiment's and fixes the potentials. Positions are only for NEST's own spatial rules; NEST
    needs none if not ``placed``. Raises NetworkError for tables that do not fit.
    """
    network.check(nest.resolution)
    return CreatedNetwork(network, {each.name: _create(each, nest, seed, placed) for each in network.populations})


def _create(population: Population, nest: ModuleType, seed: int, placed: bool) -> NodeCollection:
    parameters = {name: _drawn(value, nest) for name, value in population.parameters.items()}
    if isinstance(population.v_m, UniformOnce):
        parameters["V_m"] = population.v_m.draw_mv(population.name, seed)
    elif population.v_m is not None:
        parameters["V_m"] = _drawn(population.v_m, nest)
    places = _places(population.layout, nest) if placed else {"n": population.size}
    # The second one is for values of a type that NEST does not know.
    with said_of(f"population {population.name}", nest.NESTError, AttributeError):
        return nest.Create(population.neuron_model, params=parameters, **places)


def _places(layout: Layout, nest: ModuleType) -> dict[str, Any]:
    """Arguments of Create for positions, or for a mere number of nodes."""
    if isinstance(layout, Grid):
        # Without an extent NEST takes the span rounded up to whole mm: 0 for a single plane, 1 for a patch.
        extent_mm, wrapped = list(layout.extent_mm), layout.wrapped
        return {"positions": nest.spatial.free(layout.positions_mm.tolist(), extent=extent_mm, edge_wrap=wrapped)}
    if isinstance(layout, Scattered):
        # A box around all points; the half spacing keeps the outermost off its faces.
        return {"positions": nest.spatial.free(layout.positions_mm.tolist(), extent=[4 * layout.side_mm] * 2)}
    return {"n": layout.size}


def _drawn(value: Any, nest: ModuleType) -> Any:
    """A value as NEST takes it: distributions are drawn by NEST for each neuron."""
    if isinstance(value, Constant):
        return value.value
    if isinstance(value, Uniform):
        return nest.random.uniform(value.low, value.high)
    if isinstance(value, Normal):
        return nest.random.normal(value.mean, value.standard_deviation)
    return list(value) if isinstance(value, tuple) else value


def connect(built: CreatedNetwork, wire: Wire, nest: ModuleType) -> None:
    """Draw the synapses of all projections and count those of this rank.

    ``wire`` draws one projection: ``cosim.engines.nest.wiring`` or, as a reference,
    ``cosim.engines.nest.pynest_rules``.
    """
    for number, projection in enumerate(built.network.projections):
        ends = f"{projection.source} -> {projection.target}"
        with said_of(f"projection {ends}", nest.NESTError, NestlinkError, ValueError):
            built.local_synapses.append(wire(number, _synapse_model(projection, number, nest)))


def _synapse_model(projection: Projection, number: int, nest: ModuleType) -> str:
    """The synapse model of a projection; one of its own where it sets parameters."""
    if not projection.synapse_parameters:
        return projection.synapse_model
    own = f"{projection.synapse_model}_{number}"
    nest.CopyModel(projection.synapse_model, own, dict(projection.synapse_parameters))
    return own


def drive(built: CreatedNetwork, nest: ModuleType) -> None:
    """Give every drive a Poisson generator; NEST sends each target of a generator a train of its own."""
    for each in built.network.drives:
        with said_of(f"drive of {each.population}", nest.NESTError):
            _drive(each, built.nodes[each.population], nest)


def _drive(drive: Drive, nodes: NodeCollection, nest: ModuleType) -> None:
    if drive.first >= len(nodes):
        return
    generator = nest.Create("poisson_generator", params={"rate": drive.rate_hz, "start": drive.start_ms})
    synapse = {"weight": drive.weight, "delay": drive.delay_ms, "receptor_type": drive.receptor}
    nest.Connect(generator, nodes[drive.first :], "all_to_all", synapse)
