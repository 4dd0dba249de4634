# SPDX-License-Identifier: GPL-2.0-or-later
"""Worker of ``cosim bench build``: the same network built by nestlink and by NEST in turns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cosim.bench.coupling_worker import turns
from cosim.build import start_and_build
from cosim.devices.devices import Devices
from cosim.engines.nest.brain import Brain
from cosim.experiment.options import Options
from cosim.modes.normal import NormalRun
from cosim.parallel.world import World
from cosim.plan import Plan, prepare
from cosim.record.profile import Stopwatch

WIRINGS = ("nestlink", "nest")


def measure(world: World, request: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Build by turns; returns on the body rank what each building took. Collective over all ranks.

    Raises:
        ConfigurationError: on all ranks.
    """
    options = Options(request["experiment"], tuple(request["overrides"]), str(Path(request["folder"]) / "build"))
    prepared = world.on_body(lambda: prepare(NormalRun(options), world.brain_ranks, world.machines))
    plan = world.share(prepared.plan if world.is_body else None)
    assert plan.devices is not None  # they are known before, as the brain is a model
    buildings = []
    for repetition, wiring in turns([list(WIRINGS)], request["repetitions"]):
        own = None if world.is_body else build(world, replace(plan, wiring=wiring), plan.devices)
        of_ranks = world.from_brains(own)
        if world.is_body:
            buildings.append({"repetition": repetition, "wiring": wiring, **together(of_ranks)})
    return buildings[1:] if world.is_body else None


def build(world: World, plan: Plan, devices: Devices) -> dict[str, Any]:
    """Build in place of what stood before; returns seconds by phase and what is on this rank. Brain ranks."""
    watch = Stopwatch()
    kernel, network = start_and_build(world, plan, watch)
    brain = Brain(kernel, network, devices, plan.clock.coupling_step_ms, watch.lap)
    brain.close()
    synapses = sum(network.local_synapses.values()) + network.local_links.get("relay", 0)
    return {"seconds": watch.seconds, "synapses": synapses, "threads": brain.built.threads}


def together(of_ranks: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds by phase of the rank that took longest in it, and the sum of synapses."""
    phases = [name for name in of_ranks[0]["seconds"] if name != "start NEST"]
    return {
        "seconds": {name: max(each["seconds"][name] for each in of_ranks) for name in phases},
        "synapses": sum(each["synapses"] for each in of_ranks),
    }
