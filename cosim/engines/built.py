# SPDX-License-Identifier: GPL-2.0-or-later
"""What a brain rank tells of the network that an engine has built; pure data, pickled once and kept in files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BuiltPopulation:
    """Neurons of one kind in an engine: node ids from ``first_id`` on, one after the other.

    ``recorded`` is the number of neurons whose spikes are recorded. Of a script's populations layer, cell type and
    model are not known, and empty.
    """

    name: str
    region: str
    first_id: int
    size: int
    recorded: int
    is_relay: bool = False
    layer: str = ""
    cell_type: str = ""
    neuron_model: str = ""


@dataclass(frozen=True)
class BuiltBrain:
    """What a brain rank tells the body rank after building.

    ``local_synapses`` are those of this rank by region, ``local_links`` its other connections by kind:
    Poisson generators of the network, relays, and devices of the experiment.
    """

    populations: tuple[BuiltPopulation, ...]
    local_synapses: dict[str, int]
    local_links: dict[str, int]
    min_delay_ms: float
    threads: int
    notes: tuple[str, ...] = ()
    connect_bytes: int = 0
    """Memory that the synapses took on this rank; 0 for a script."""
    left_to_nestlink: tuple[str, ...] = ()
    """Projections that wiring = "nest" left to nestlink, as NEST has no rule for them."""
