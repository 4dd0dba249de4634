# SPDX-License-Identifier: GPL-2.0-or-later
"""Worker of ``cosim bench coupling``: blocks of simulated time, in our loop or in one uninterrupted ``Run``.

All blocks of a job start from the same state: the network is built anew for each, from the seed of the
repetition, and simulates a warm-up in one ``Run``. A block in the loop is compared with an uninterrupted one
beside it of the network that was built for the same coupling step: it has the same spikes, as the counts of both
show, so that exactly the same work is compared. For a coupling step a brain may lower the smallest delay, at
which NEST exchanges spikes; what that costs is seen in one more block, of the network that knows of no step.
Every repetition has a seed of its own, its blocks follow in rotated order, in every other one backwards, and one
block before the first is not counted.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cosim.build import build
from cosim.engines.built import BuiltBrain
from cosim.experiment.config import Experiment, load
from cosim.experiment.options import Options
from cosim.loop import Idle, Parts, loop
from cosim.modes.normal import NormalRun
from cosim.parallel.machine import peak_memory_mb, resident_bytes
from cosim.parallel.stop import StopSign
from cosim.parallel.world import World
from cosim.plan import Plan, Prepared, prepare
from cosim.record.folder import RunFolder
from cosim.record.merge import merge_profiles, merge_spikes
from cosim.record.profile import STEP_PHASES, Stopwatch, run_times
from cosim.record.summary import built_regions, coupling_fraction
from cosim.timegrid import is_multiple

NO_STEP = 0.0
"""Stands for the coupling step where the network knows of none."""

log = logging.getLogger("cosim")
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class BlockKind:
    """A block in our loop, or in one ``Run``, with a network for steps of ``step_ms``."""

    step_ms: float
    in_loop: bool


@dataclass(frozen=True)
class Stage:
    """What stands on this rank for one block."""

    world: World
    plan: Plan
    parts: Parts
    built: list[BuiltBrain]
    """Of all brain ranks, on the body rank; empty elsewhere."""


def measure(world: World, request: dict[str, Any]) -> dict[str, Any] | None:
    """Run all blocks and return them, with what was built, on the body rank. Collective over all ranks.

    Raises:
        ConfigurationError: on all ranks.
    """
    prepared = world.on_body(lambda: prepare_steps(request, world))
    plans = world.share({step: each.plan for step, each in prepared.items()} if world.is_body else None)
    blocks: list[dict[str, Any]] = []
    number = 0
    for repetition, kind in order(request["steps_ms"], request["repetitions"]):
        plan = place(world, plans[kind.step_ms], repetition, number)
        stage = set_up(world, plan, prepared, kind.step_ms)
        block = run_block(stage, kind, request)
        if block is not None:
            blocks.append({"repetition": repetition, **asdict(kind), **block})
            shutil.rmtree(plan.folder.path)
        number += 1
    memory = world.to_body(peak_memory_mb())
    if not world.is_body:
        return None
    exchange = stage.parts.exchange
    devices = {"sinks": len(exchange.readout), "sources": len(exchange.stimulus)}
    network = {"regions": built_regions(stage.built), **devices}
    return {"blocks": blocks[1:], "network": network, "peak_memory_mb": memory}


def order(steps_ms: list[float], repetitions: int) -> Iterator[tuple[int, BlockKind]]:
    """Repetition and kind of every block; the first one is for warming up memory and processor."""
    plain = BlockKind(NO_STEP, in_loop=False)
    pairs = [[BlockKind(step_ms, in_loop) for in_loop in (False, True)] for step_ms in steps_ms]
    return turns([[plain], *pairs], repetitions)


def turns(groups: list[list[Any]], repetitions: int) -> Iterator[tuple[int, Any]]:
    """Repetition and kind of every block: groups follow in rotated order, in every other repetition backwards.

    One more of the first kind comes before all.
    """
    yield 0, groups[0][0]
    for repetition in range(repetitions):
        shift = repetition % len(groups)
        kinds = [kind for group in groups[shift:] + groups[:shift] for kind in group]
        yield from ((repetition, kind) for kind in (reversed(kinds) if repetition % 2 else kinds))


def prepare_steps(request: Mapping[str, Any], world: World) -> dict[float, Prepared]:
    """The experiment with each coupling step, checked before NEST starts; without any it is the whole time."""
    whole = {NO_STEP: _prepare(request, request["simulate_ms"], world)}
    return whole | {step: _prepare(request, step, world) for step in request["steps_ms"]}


def _prepare(request: Mapping[str, Any], step_ms: float, world: World) -> Prepared:
    overrides = [*request["overrides"], *step_overrides(request, step_ms)]
    out = str(Path(request["folder"]) / f"steps-of-{step_ms:g}-ms")
    return prepare(NormalRun(Options(request["experiment"], tuple(overrides), out)), world.brain_ranks, world.machines)


def step_overrides(request: Mapping[str, Any], step_ms: float) -> list[str]:
    """Clock settings for a coupling step; the physics step becomes its largest part, at most as now."""
    experiment = load(request["experiment"], request["overrides"])
    physics_ms = physics_step_ms(experiment, step_ms)
    steps = round(request["simulate_ms"] / step_ms)
    values = {"coupling_step_ms": step_ms, "physics_step_ms": physics_ms, "steps": steps}
    return [f"clock.{name}={value}" for name, value in values.items()]


def physics_step_ms(experiment: Experiment, step_ms: float) -> float:
    """The experiment's own, where it divides the coupling step."""
    own_ms = experiment.config.clock.physics_step_ms
    return own_ms if is_multiple(step_ms, own_ms) else step_ms / np.ceil(step_ms / own_ms)


def place(world: World, plan: Plan, repetition: int, number: int) -> Plan:
    """The plan of one block: a folder and a seed of its own. Collective over all ranks."""
    folder = RunFolder(plan.folder.path / f"block-{number}")
    if world.is_body:
        (folder.path / "shards").mkdir(parents=True)
    return replace(plan, folder=folder, seed=plan.seed + repetition)


def set_up(world: World, plan: Plan, prepared: Mapping[Kind, Prepared], kind: Kind) -> Stage:
    """Network, devices, body and recorders as in a run, in place of those of the block before. Collective.

    What is prepared for each kind of blocks is looked at on the body rank only.
    """
    own = world.on_body(lambda: replace(prepared[kind], plan=plan))
    parts = build(world, plan, own, StopSign(), Stopwatch())
    built = world.from_brains(None if isinstance(parts.brain, Idle) else parts.brain.built)
    return Stage(world, plan, parts, built)


def run_block(stage: Stage, kind: BlockKind, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Warm up, measure one block and close everything; returns what was seen on the body rank. Collective."""
    world, parts = stage.world, stage.parts
    if not world.is_body:
        uninterrupted(request["warm_up_ms"])
        parts.brain.collect()
        parts.brain.forget_spikes()
    before = resident_bytes()
    world.synchronise()
    world.comm.Barrier()  # the patient waiting above lets go one rank after the other
    began = time.perf_counter()
    if kind.in_loop:
        advance_in_loop(stage, kind.step_ms)
    elif not world.is_body:  # the body rank sleeps
        uninterrupted(request["simulate_ms"])
    seconds = time.perf_counter() - began
    waiting = 0 if world.is_body or kind.in_loop else parts.brain.collect()
    seen = world.to_body((seconds, waiting, resident_bytes() - before))
    for part in (parts.progress, parts.recorder, parts.brain, parts.body):
        part.close()
    world.synchronise()
    if not world.is_body:
        return None
    close_logs()
    times_s, numbers, growths = zip(*seen, strict=True)
    block = {"seconds": max(times_s), "spikes": sum(numbers), "growth_mb": max(growths[1:]) / 1e6}
    block["min_delay_ms"] = stage.built[0].min_delay_ms
    return block | read_block(stage) if kind.in_loop else block


def uninterrupted(duration_ms: float) -> None:
    """One ``Run``. Collective over the brain ranks."""
    import nest

    nest.Run(duration_ms)


def advance_in_loop(stage: Stage, step_ms: float) -> None:
    """Our loop, until every spike is in a file."""
    asked = stage.plan.clock.steps
    steps = loop(stage.parts, asked, step_ms)
    stage.parts.recorder.close()
    if steps < asked:
        stop = stage.parts.stop
        why = stop.failure or stop.reason or "another rank failed"
        raise RuntimeError(f"stopped after {steps} of {asked} steps: {why}")


def close_logs() -> None:
    """A run of an experiment keeps its log open until its process ends; here come more of them."""
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()


def read_block(stage: Stage) -> dict[str, Any]:
    """Spikes and times per step from the files of a block in our loop. Body rank."""
    folder = stage.plan.folder
    shards = folder.shards(stage.world.comm.size)
    counts = merge_spikes(shards[1:], stage.built[0].populations, folder.spike_file)
    profile = merge_profiles(folder.run_file, shards, stage.plan.clock.steps, {})
    return {"spikes": sum(counts.values()), **step_times(profile)}


def step_times(profile: np.ndarray) -> dict[str, Any]:
    """Times per step in us from a profile (ranks, steps, phases) in s whose row 0 is the body rank.

    Coupling is the time of the slowest brain rank's step less the slowest ``Run``. Body is what the body rank
    works. Recording is a mean, as its writing comes in bursts; all others are medians. Phases are those of
    the rank whose ``Run`` was the slowest.
    """
    body, brain = profile[0] * 1e6, profile[1:] * 1e6
    run = run_times(brain)
    coupling = brain.sum(axis=2).max(axis=0) - run.max(axis=0)
    slowest = brain[run.argmax(axis=0), np.arange(run.shape[1])]
    recording = np.sum([brain[:, :, STEP_PHASES.index(name)] for name in ("record", "flush")], axis=0)
    return {
        "coupling_us": float(np.median(coupling)),
        "coupling_mean_us": float(coupling.mean()),
        "coupling_fraction": coupling_fraction(profile),
        "run_us": float(np.median(run.max(axis=0))),
        "record_us": float(recording.max(axis=0).mean()),
        "body_us": float(np.median(sum(body[:, STEP_PHASES.index(name)] for name in ("body", "transfer", "record")))),
        "transfer_us": float(np.median(body[:, STEP_PHASES.index("transfer")])),
        "phases_us": dict(zip(STEP_PHASES, np.median(slowest, axis=0).tolist(), strict=True)),
    }
