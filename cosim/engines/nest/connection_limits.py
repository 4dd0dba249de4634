# SPDX-License-Identifier: GPL-2.0-or-later
"""How many connections NEST can hold, known before it starts; a network of more is refused.

NEST numbers the connections of one synapse model on one virtual process with 27 bits (MAX_LCID in
libnestutil/nest_types.h) and raises in the middle of connecting when they run out. Those from sources and to
sinks count too.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import count

from cosim.devices.devices import Devices
from cosim.errors import ConfigurationError
from cosim.network.network import Network, expected_synapses

MAX_CONNECTIONS = 2**27 - 2
# More virtual processes than any machine has: what is too much even then, such as a sink's connections, stays so.
MANY = 2**20


@dataclass(frozen=True)
class Share:
    """The most connections of one synapse model that a virtual process gets, on average over seeds."""

    synapse_model: str
    connections: float
    virtual_processes: int

    @property
    def is_allowed(self) -> bool:
        return self.connections <= MAX_CONNECTIONS


def largest_share(network: Network, devices: Devices, virtual_processes: int) -> Share:
    """Neurons of a population go round the virtual processes, and synapses are where their target is."""
    shares: defaultdict[str, float] = defaultdict(float)
    expected = expected_synapses(network)
    for number, (each, synapses) in enumerate(zip(network.projections, expected, strict=True)):
        # With parameters of its own a projection has a model of its own.
        own = f" of projection {number}" if each.synapse_parameters else ""
        model, size = each.synapse_model + own, network.by_name[each.target].size
        shares[model] += float(synapses) * math.ceil(size / virtual_processes) / size
    trains = [network.by_name[each.population].size - each.first for each in network.drives]
    footprints = devices.footprints(network.sizes)
    trains += [each.spread_links for each in footprints]
    shares["static_synapse"] += sum(math.ceil(max(0, neurons) / virtual_processes) for neurons in trains)
    listened = [each.gathered_links for each in footprints if each.gathered_links]
    firsts = range(min(virtual_processes, len(listened)))
    shares["static_synapse"] += max((sum(listened[first::virtual_processes]) for first in firsts), default=0)
    model, connections = max(shares.items(), key=lambda item: item[1])
    return Share(model, connections, virtual_processes)


def processes_needed(network: Network, devices: Devices, share: Share, ranks: int = 1) -> int | None:
    """The smallest multiple of ``ranks`` that is a sufficient number of virtual processes.

    None where no number is.
    """
    if not largest_share(network, devices, MANY).is_allowed:
        return None
    least = math.ceil(share.virtual_processes * share.connections / MAX_CONNECTIONS / ranks) * ranks
    return next(each for each in count(least, ranks) if largest_share(network, devices, each).is_allowed)


def check(network: Network, devices: Devices, virtual_processes: int, brain_ranks: int) -> None:
    """Refuse a network with more connections than NEST can hold. Body rank.

    Raises:
        ConfigurationError: with the number of virtual processes that would be enough.
    """
    share = largest_share(network, devices, virtual_processes)
    if share.is_allowed:
        return
    needed = processes_needed(network, devices, share, brain_ranks)
    enough = f"must be {needed} or more for {brain_ranks} brain ranks" if needed else "no number would be enough"
    raise ConfigurationError(
        f"brain.virtual_processes = {virtual_processes}: {enough}; each would get {share.connections:,.0f} "
        f"connections by {share.synapse_model}, but NEST holds at most {MAX_CONNECTIONS:,} of one synapse model "
        "on a virtual process"
    )
