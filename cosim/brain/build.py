# SPDX-License-Identifier: GPL-2.0-or-later
"""Network tables become NEST nodes and connections: create, connect, drive, in this order.

Three functions so that the caller can time the phases and count synapses before devices. Each is called on
all brain ranks with the same arguments and communicates only inside NEST, where even reading a kernel
attribute such as ``nest.num_connections`` is a collective call. ``nest`` is the imported module; its
communicator, resolution, virtual processes and ``rng_seed`` are set by the caller before ``create``.
"""

from collections import Counter
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from cosim.brain.network import Constant, Drive, GaussianBernoulli, Lognormal, Network, Population, Projection

NodeCollection = Any  # NEST's type; this module does not import NEST


@dataclass
class Built:
    """What stands in NEST so far, by population name.

    ``local_synapses`` has one count per projection, in the order of ``network.projections``: synapses onto
    neurons of this rank, without drives. The sum over ranks is the caller's.
    """

    network: Network
    nodes: dict[str, NodeCollection]
    local_synapses: list[int] = field(default_factory=list)
    generators: dict[str, list[NodeCollection]] = field(default_factory=dict)

    def local_synapses_by_region(self) -> dict[str, int]:
        """After ``connect``: synapses of this rank by the region of their target; 0 for one without any."""
        counts = Counter({population.region: 0 for population in self.network.populations})
        for projection, synapses in zip(self.network.projections, self.local_synapses, strict=True):
            counts[self.network.by_name[projection.target].region] += synapses
        return dict(counts)


def create(network: Network, nest: ModuleType, seed: int) -> Built:
    """Check the tables, then create all populations at their positions with their initial potentials.

    ``seed`` is the experiment's and fixes the potentials. Raises NetworkError for tables that do not fit.
    """
    network.check(nest.resolution)
    return Built(network, {each.name: _create(each, nest, seed) for each in network.populations})


def _create(population: Population, nest: ModuleType, seed: int) -> NodeCollection:
    grid = population.grid
    # Without an extent NEST takes the span rounded up to whole mm: 0 for a single plane, 1 for a patch.
    positions = nest.spatial.free(
        grid.positions_mm.tolist(), extent=list(grid.extent_mm), edge_wrap=grid.wrapped
    )
    parameters = {**population.parameters, "V_m": population.v_m.draw_mv(population.name, seed)}
    return nest.Create(population.neuron_model, params=parameters, positions=positions)


def connect(built: Built, nest: ModuleType) -> None:
    """Draw the synapses of all projections with NEST's random numbers and count those of this rank."""
    for projection in built.network.projections:
        before = nest.num_connections
        _connect(projection, built.nodes, nest)
        built.local_synapses.append(nest.num_connections - before)


def _connect(projection: Projection, nodes: dict[str, NodeCollection], nest: ModuleType) -> None:
    synapse = {
        "synapse_model": projection.synapse_model,
        "weight": _weight(projection.weight, nest),
        "delay": projection.delay_ms,
    }
    nest.Connect(nodes[projection.source], nodes[projection.target], _rule(projection.rule, nest), synapse)


def _rule(rule: GaussianBernoulli, nest: ModuleType) -> dict[str, Any]:
    """NEST's spatial Bernoulli rule; displacements are measured in the target's layer."""
    distance, sigma_mm = nest.spatial.distance, rule.sigma_mm
    kernel = nest.spatial_distributions.gaussian2D(distance.x, distance.y, std_x=sigma_mm, std_y=sigma_mm)
    spec = {"rule": "pairwise_bernoulli", "p": rule.p_center * kernel, "allow_autapses": False}
    if rule.mask is not None:
        box = {"lower_left": list(rule.mask.lower_mm), "upper_right": list(rule.mask.upper_mm)}
        spec |= {"mask": {"box": box}, "allow_oversized_mask": True}
    return spec


def _weight(weight: Constant | Lognormal, nest: ModuleType) -> Any:
    """A number or a NEST parameter; NEST calls mu and sigma of the lognormal distribution mean and std."""
    if isinstance(weight, Constant):
        return weight.value
    return nest.random.lognormal(mean=weight.mu, std=weight.sigma)


def drive(built: Built, nest: ModuleType) -> None:
    """Give every drive a Poisson generator; NEST sends each target of a generator a train of its own."""
    for each in built.network.drives:
        generator = _drive(each, built.nodes[each.population], nest)
        built.generators.setdefault(each.population, []).append(generator)


def _drive(drive: Drive, targets: NodeCollection, nest: ModuleType) -> NodeCollection:
    generator = nest.Create("poisson_generator", params={"rate": drive.rate_hz, "start": drive.start_ms})
    nest.Connect(generator, targets, "all_to_all", {"weight": drive.weight_ns, "delay": drive.delay_ms})
    return generator
