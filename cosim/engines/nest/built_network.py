# SPDX-License-Identifier: GPL-2.0-or-later
"""A network that stands in NEST, whether it came from tables or from a script: what devices are connected to.

Brain ranks only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from cosim.engines.built import BuiltPopulation
from cosim.engines.nest import building, pynest_rules
from cosim.engines.nest.kernel import Kernel
from cosim.engines.nest.script import run_script
from cosim.engines.nest.wiring import Wiring
from cosim.network.network import Network, Population
from cosim.parallel.machine import resident_bytes

NodeCollection = Any  # NEST's type
SCRIPT_REGION = "script"


class ScriptFile(NamedTuple):
    """The file of a brain that is a script, as it was run."""

    path: Path
    content: bytes


@dataclass(frozen=True)
class BuiltNetwork:
    """``nodes`` by the name of their population, those of a population one after the other; ``populations`` say more.

    ``aliases`` are other names for some of these nodes. ``local_synapses`` are those onto neurons of this rank, by
    region and by projection; ``local_links`` those that are not between neurons (from Poisson generators and onto
    relays), by kind. A script does not say which is which: all its connections count as synapses of one region.
    ``notes`` are for the user. ``connect_bytes`` is the memory that the synapses of tables took on this rank,
    ``left_to_nestlink`` are projections of tables that NEST was to draw and has no rule for.
    """

    nodes: Mapping[str, NodeCollection]
    populations: tuple[BuiltPopulation, ...]
    local_synapses: Mapping[str, int]
    local_links: Mapping[str, int]
    aliases: Mapping[str, NodeCollection] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    connect_bytes: int = 0
    left_to_nestlink: tuple[str, ...] = ()
    script: ScriptFile | None = None
    """Of a script: what it was when it ran."""
    rebuild: Callable[[], BuiltNetwork] | None = None
    """Builds it once more, after ``Kernel.restart``. Collective over the brain ranks."""

    @property
    def sizes(self) -> dict[str, int]:
        """Number of nodes by every name that can be addressed."""
        return {name: len(nodes) for name, nodes in {**self.nodes, **self.aliases}.items()}


def build_network(kernel: Kernel, brain: Network | Path, wiring: str, lap: Callable[[str], None]) -> BuiltNetwork:
    """Build the network of a brain: tables, or the path of a script. Collective over the brain ranks.

    ``wiring`` says who draws the synapses of tables, "nestlink" or "nest". ``lap`` is called after each phase with its
    name: create, connect, drive; for a script: script.
    """
    built = _from_tables(kernel, brain, wiring, lap) if isinstance(brain, Network) else _from_script(kernel, brain, lap)
    return replace(built, rebuild=partial(build_network, kernel, brain, wiring, _no_lap))


def _no_lap(_: str) -> None:
    """A network that is built once more belongs to no phase of the start."""


def _from_tables(kernel: Kernel, network: Network, wiring: str, lap: Callable[[str], None]) -> BuiltNetwork:
    nest = kernel.nest
    built = building.create(network, nest, kernel.seed, placed=wiring == "nest")
    lap("create")
    empty_bytes = resident_bytes()
    building.connect(built, _wire(kernel, built, wiring), nest)
    connect_bytes = resident_bytes() - empty_bytes
    lap("connect")
    before = local_connections(nest)
    building.drive(built, nest)
    lap("drive")
    synapses = synapses_by_region(built)
    links = {"poisson": local_connections(nest) - before, "relay": sum(built.local_synapses) - sum(synapses.values())}
    populations = tuple(_population(each, built.nodes[each.name]) for each in network.populations)
    left = _left_to_nestlink(network) if wiring == "nest" else ()
    notes = (_note(left, len(network.projections)),) if left else ()
    return BuiltNetwork(
        built.nodes, populations, synapses, links, notes=notes, connect_bytes=connect_bytes, left_to_nestlink=left
    )


def _left_to_nestlink(network: Network) -> tuple[str, ...]:
    """The projections that NEST has no rule for, each by its ends."""
    without = (each for number, each in enumerate(network.projections) if not pynest_rules.has_rule(network, number))
    return tuple(f"{each.source} -> {each.target}" for each in without)


def _note(left: tuple[str, ...], projections: int) -> str:
    ends = ", ".join(dict.fromkeys(left))
    return f'wiring = "nest": NEST has no rule for {len(left)} of {projections} projections, nestlink drew them: {ends}'


def _population(table: Population, nodes: NodeCollection) -> BuiltPopulation:
    """None of its neurons is recorded yet."""
    of_table = {name: getattr(table, name) for name in ("is_relay", "layer", "cell_type", "neuron_model")}
    return BuiltPopulation(table.name, table.region, nodes[0].global_id, len(nodes), recorded=0, **of_table)


def _wire(kernel: Kernel, built: building.CreatedNetwork, wiring: str) -> building.Wire:
    """Who draws a projection; what NEST has no rule for is drawn by nestlink in any case."""
    first_ids = {name: nodes[0].global_id for name, nodes in built.nodes.items()}
    own = Wiring(kernel.link, built.network, first_ids, kernel.seed)
    if wiring == "nestlink":
        return own
    nests = partial(pynest_rules.connect, built.network, nodes=built.nodes, nest=kernel.nest)
    return lambda number, model: (nests if pynest_rules.has_rule(built.network, number) else own)(number, model)


def _from_script(kernel: Kernel, path: Path, lap: Callable[[str], None]) -> BuiltNetwork:
    content = path.read_bytes()
    script = run_script(path, kernel.nest, kernel)
    lap("script")
    populations = tuple(
        BuiltPopulation(name, SCRIPT_REGION, nodes[0].global_id, len(nodes), recorded=0)
        for name, nodes in script.populations.items()
    )
    synapses = {SCRIPT_REGION: local_connections(kernel.nest)}
    known = ScriptFile(path, content)
    return BuiltNetwork(script.populations, populations, synapses, {}, script.aliases, script.notes, script=known)


def synapses_by_region(built: building.CreatedNetwork) -> dict[str, int]:
    """Synapses of this rank by the region of their target, those onto relays left out; 0 for a region without any."""
    counts = dict.fromkeys((population.region for population in built.network.populations), 0)
    for projection, synapses in zip(built.network.projections, built.local_synapses, strict=True):
        target = built.network.by_name[projection.target]
        counts[target.region] += 0 if target.is_relay else synapses
    return counts


def local_connections(nest: ModuleType) -> int:
    """Connections that this rank holds so far. Collective."""
    return nest.num_connections
