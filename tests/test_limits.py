# SPDX-License-Identifier: GPL-2.0-or-later
"""What NEST cannot number is refused before it starts, with the number of virtual processes that would be enough."""

from __future__ import annotations

import re

import pytest

from cosim.devices.devices import Device, Devices
from cosim.devices.leaky_integrator_alpha import LeakyIntegratorAlpha
from cosim.engines.nest import connection_limits
from cosim.engines.nest.connection_limits import MAX_CONNECTIONS, largest_share
from cosim.errors import ConfigurationError
from cosim.experiment.config import load
from cosim.network.address import Address
from cosim.network.layout import Unplaced
from cosim.network.network import Drive, Network, Population, Projection
from cosim.network.rules import FixedIndegree
from cosim.network.values import Constant
from cosim.plan import resolve_devices

NOTHING = Devices((), (), ())


def network(neurons: int, *indegrees: int, drives: int = 0, **synapse: object) -> Network:
    projections = [Projection("A", "A", FixedIndegree(each), Constant(1.0), 1.5, **synapse) for each in indegrees]
    population = Population("A", "R", "iaf_psc_alpha", {}, Unplaced(neurons))
    return Network((population,), tuple(projections), (Drive("A", 1.0, 1.0, 1.5),) * drives)


def test_projections_and_poisson_trains_of_one_model_count_together():
    assert largest_share(network(1000, 50, 30, drives=2), NOTHING, 4).connections == 250 * (50 + 30 + 2)
    # Of ten neurons one of four processes has three.
    assert largest_share(network(10, 100), NOTHING, 4).connections == 300


def test_projections_with_parameters_of_their_own_count_apart():
    stdp = {"synapse_model": "stdp_synapse", "synapse_parameters": {"lambda": 0.1}}
    share = largest_share(network(1000, 50, 30, **stdp), NOTHING, 1)
    assert (share.synapse_model, share.connections) == ("stdp_synapse of projection 0", 50_000)


def test_all_connections_to_a_sink_are_on_its_virtual_process():
    table = LeakyIntegratorAlpha(populations="A", weight_pa=1.0, delay_ms=1.0)
    sinks = tuple(Device(f"sink_{number}", Address("A"), table) for number in range(3))
    assert largest_share(network(1000), Devices((), sinks, ()), 2).connections == 2 * 1000
    share = largest_share(network(MAX_CONNECTIONS + 1), Devices((), sinks[:1], ()), 8)
    assert not share.is_allowed
    assert connection_limits.processes_needed(network(MAX_CONNECTIONS + 1), Devices((), sinks[:1], ()), share) is None


def test_the_whole_brain_needs_more_than_four_virtual_processes():
    experiment = load("mouse_brain", ["brain.patch_mm=1.0"])
    tables = experiment.network()
    devices = resolve_devices(experiment, tables.sizes)
    with pytest.raises(ConfigurationError, match="brain.virtual_processes = 4: must be") as refusal:
        connection_limits.check(tables, devices, 4, brain_ranks=2)
    needed = int(re.search(r"must be (\d+) or more for 2 brain ranks", str(refusal.value))[1])
    assert needed % 2 == 0
    connection_limits.check(tables, devices, needed, brain_ranks=2)
    assert not largest_share(tables, devices, needed - 2).is_allowed
