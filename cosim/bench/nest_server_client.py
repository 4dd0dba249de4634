# SPDX-License-Identifier: GPL-2.0-or-later
"""What a client of NEST Server calls on all of its ranks: build the network of an experiment, and advance it.

NEST Server imports this module (see ``cosim.bench.nest_server``) beside ``nest``; there is no body rank, and NEST
runs on all ranks of the world.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import nest
import numpy as np

from cosim.engines.nest import nestlink
from cosim.engines.nest.brain import Brain
from cosim.engines.nest.built_network import build_network
from cosim.engines.nest.kernel import Kernel
from cosim.engines.nest.nestlink import Nestlink
from cosim.experiment.config import load
from cosim.parallel.mpi import MPI
from cosim.plan import brain_of, resolve_devices


def build(experiment: str, overrides: Sequence[str]) -> dict[str, list[int]]:
    """Build the network with its devices as in a run; returns the node ids of sinks and sources."""
    loaded = load(experiment, overrides)
    config = loaded.config
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.ResetKernel()
    kernel = Kernel(
        nest,
        Nestlink(nestlink.find()),
        config.brain.virtual_processes,
        config.seed,
        config.clock.resolution_ms,
        MPI.COMM_WORLD,
    )
    kernel.restore()
    network = build_network(kernel, brain_of(loaded), config.brain.wiring, lambda _: None)
    devices = resolve_devices(loaded, network.sizes)
    first = nest.network_size + 1
    Brain(kernel, network, devices, config.clock.coupling_step_ms, lambda _: None).close()
    # A brain makes its sources first, then its sinks.
    made = list(range(first, nest.network_size + 1))
    sources, sinks = made[: len(devices.sources)], made[len(devices.sources) :]
    if len(sinks) != len(devices.sinks):
        raise RuntimeError(f"{len(made)} nodes for {len(devices.sources)} sources and {len(devices.sinks)} sinks")
    return {"sinks": sinks, "sources": sources}


def voltages_mv(sinks: Sequence[int]) -> list[float]:
    """Voltages of some sinks in one reduction."""
    nodes = (nest.NodeCollection([sink]) for sink in sinks)
    own = np.array([node.get("V_m") if node.local else 0.0 for node in nodes])
    total = np.empty_like(own)
    MPI.COMM_WORLD.Allreduce(own, total)
    return total.tolist()


def set_rates(sources: Sequence[int], rate_hz: float) -> None:
    """Set all sources in one call."""
    nest.NodeCollection(sources).set(rate=rate_hz)


def simulate(duration_ms: float) -> float:
    """As ``nest.Simulate``; returns the seconds of the slowest rank within ``Run``."""
    nest.Prepare()
    seconds = run(duration_ms)
    nest.Cleanup()
    return seconds


def run(duration_ms: float) -> float:
    """``Run`` alone, between ``Prepare`` and ``Cleanup``; returns the seconds of the slowest rank."""
    began = time.perf_counter()
    nest.Run(duration_ms)
    return MPI.COMM_WORLD.allreduce(time.perf_counter() - began, op=MPI.MAX)
