# SPDX-License-Identifier: GPL-2.0-or-later
"""The brain in a closed loop: a network with its spike sources, spike sinks and recorder, stepped by ``Run``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from cosim.brain import build, nest_rules
from cosim.brain.nestlink import BACKEND, Events, Nestlink
from cosim.brain.network import Network
from cosim.config import SpikeSource
from cosim.devices import Devices, Sink


@dataclass(frozen=True)
class BuiltPopulation:
    """A population as it stands in NEST: node ids from ``first_id`` on, one after the other."""

    name: str
    region: str
    first_id: int
    size: int
    recorded: bool


@dataclass(frozen=True)
class BuiltBrain:
    """What a brain rank tells the body rank after building. Synapses are those of this rank."""

    populations: tuple[BuiltPopulation, ...]
    local_synapses: dict[str, int]
    min_delay_ms: float
    threads: int


class Brain:
    """A network in NEST, ready to be stepped. Brain ranks only; every method is called on all of them.

    ``lap(name)`` is called after each phase of the building with its name: create, connect, drive, devices, prepare.
    """

    def __init__(
        self,
        nest: ModuleType,
        link: Nestlink,
        network: Network,
        devices: Devices,
        record_spikes: str,
        seed: int,
        lap: Callable[[str], None],
    ) -> None:
        self._nest, self._link = nest, link
        built = build.create(network, nest, seed)
        lap("create")
        build.connect(built, partial(nest_rules.connect, network, nodes=built.nodes, nest=nest), nest)
        lap("connect")
        build.drive(built, nest)
        lap("drive")
        nodes = built.nodes
        sources = [_create_source(nest, source, nodes) for source in devices.sources]
        self._source_ids = np.array(sources, dtype=np.int64)
        self._rates_hz = np.zeros(len(devices.sources))
        self._sink_ids = np.array([_create_sink(nest, sink, nodes) for sink in devices.sinks], dtype=np.int64)
        recorded = {name for name in nodes if fnmatchcase(name, record_spikes)}
        self._recorder = _create_recorder(nest, [nodes[name] for name in nodes if name in recorded])
        lap("devices")
        nest.verbosity = nest.VerbosityLevel.ERROR  # NEST would repeat its warnings about steps in every step
        nest.Prepare()
        lap("prepare")
        self.built = _describe(nest, built, recorded)

    def stimulate(self, stimulus: np.ndarray) -> None:
        """Set the rates of all sources, (number of sources,) in Hz; they act from now on."""
        changed = np.flatnonzero(stimulus != self._rates_hz)
        if changed.size:
            self._link.set_generators(self._source_ids[changed], "rate", stimulus[changed])
            self._rates_hz[:] = stimulus

    def run(self, duration_ms: float) -> None:
        """Advance by one coupling step."""
        self._nest.Run(duration_ms)

    def read(self, readout: np.ndarray) -> None:
        """Write the voltages in mV of the sinks on this rank into ``readout``, (number of sinks,)."""
        self._link.read_state(self._sink_ids, "V_m", readout)

    def spikes(self) -> list[Events]:
        """Spikes of this rank since the last ``forget_spikes``, one entry for each thread; views, not copies."""
        return self._link.events(self._recorder)

    def forget_spikes(self) -> None:
        """Empty the recorder."""
        self._link.clear(self._recorder)

    def close(self) -> None:
        """Leave the stepping. Collective inside NEST."""
        self._nest.Cleanup()


def _create_source(nest: ModuleType, source: SpikeSource, nodes: dict[str, Any]) -> int:
    generator = nest.Create("poisson_generator", params={"rate": 0.0})
    synapse = {"weight": source.weight_ns, "delay": source.delay_ms}
    nest.Connect(generator, nodes[source.population], "all_to_all", synapse)
    return generator.global_id


def _create_sink(nest: ModuleType, sink: Sink, nodes: dict[str, Any]) -> int:
    table = sink.table
    parameters = {
        "V_th": math.inf,
        "C_m": table.c_m_pf,
        "tau_m": table.tau_m_ms,
        "tau_syn_ex": table.tau_syn_ms,
        "tau_syn_in": table.tau_syn_ms,
        **{"E_L": 0.0, "V_reset": 0.0, "V_m": 0.0, "I_e": 0.0},
    }
    integrator = nest.Create("iaf_psc_alpha", params=parameters)
    synapse = {"weight": sink.weight_pa, "delay": table.delay_ms}
    nest.Connect(nodes[sink.population], integrator, "all_to_all", synapse)
    return integrator.global_id


def _create_recorder(nest: ModuleType, populations: list[Any]) -> int:
    recorder = nest.Create("spike_recorder", params={"record_to": BACKEND})
    for population in populations:
        nest.Connect(population, recorder)
    return recorder.global_id


def _describe(nest: ModuleType, built: build.Built, recorded: set[str]) -> BuiltBrain:
    populations = tuple(
        BuiltPopulation(each.name, each.region, nodes[0].global_id, len(nodes), each.name in recorded)
        for each, nodes in ((each, built.nodes[each.name]) for each in built.network.populations)
    )
    return BuiltBrain(populations, local_synapses_by_region(built), nest.min_delay, nest.local_num_threads)


def local_synapses_by_region(built: build.Built) -> dict[str, int]:
    """Synapses of this rank by the region of their target; 0 for a region without any."""
    counts = dict.fromkeys((population.region for population in built.network.populations), 0)
    for projection, synapses in zip(built.network.projections, built.local_synapses, strict=True):
        counts[built.network.by_name[projection.target].region] += synapses
    return counts
