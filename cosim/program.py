# SPDX-License-Identifier: GPL-2.0-or-later
"""A run from start to end, the same program on every rank: configure, split, build, loop, finalize."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial

from cosim.build import build
from cosim.engines.built import BuiltBrain
from cosim.errors import (
    EXIT_COMPLETE,
    EXIT_CONFIGURATION,
    EXIT_FAILED,
    EXIT_STOPPED,
    ConfigurationError,
    NothingToDo,
    RecordingError,
)
from cosim.experiment.options import Options, parse
from cosim.finalize import EndedRun, finalize
from cosim.loop import Idle, Parts, loop
from cosim.modes.choice import choose
from cosim.network.network import Network
from cosim.parallel.exchange import Exchange
from cosim.parallel.machine import peak_memory_mb
from cosim.parallel.mpi import MPI
from cosim.parallel.stop import Signals, StopSign
from cosim.parallel.world import (
    World,
    fatal_errors_end_the_job,
    split,
)
from cosim.plan import Plan, Prepared, prepare
from cosim.record import failure, populations
from cosim.record.built import BuiltRun, RankReport
from cosim.record.built import write as write_built
from cosim.record.folder import RunFolder
from cosim.record.owner import claim
from cosim.record.profile import Stopwatch
from cosim.record.recorder import Recorder
from cosim.record.summary import built_regions
from cosim.timegrid import is_multiple

log = logging.getLogger("cosim")


def main(arguments: Sequence[str]) -> int:
    """``run.py``: called on all ranks with the same arguments; returns the exit code."""
    rescues: list[Callable[[BaseException], None]] = []
    try:
        options = parse(arguments, quiet=MPI.COMM_WORLD.rank != 0)
        with fatal_errors_end_the_job(rescues):
            return run(split(brain_ranks=options.ranks), options, rescues)
    except ConfigurationError as error:
        if MPI.COMM_WORLD.rank == 0:
            print(f"cosim: {error}", file=sys.stderr)
        return EXIT_COMPLETE if isinstance(error, NothingToDo) else EXIT_CONFIGURATION


def run(world: World, options: Options, rescues: list[Callable[[BaseException], None]]) -> int:
    """Run an experiment, and again after each reset of the whole run; the exit code of the last. Collective.

    What has to be done if this rank fails is kept in ``rescues``.
    """
    stop, watch = StopSign(), Stopwatch()
    signals = stop.listen()
    if options.wall_limit_s and world.is_body:
        stop.after(options.wall_limit_s, f"--wall-limit of {options.wall_limit_s:g} s")
    prepared = world.on_body(lambda: prepare(choose(options), world.brain_ranks, world.machines))
    while True:
        parts, code = run_once(world, prepared, stop, signals, watch, rescues)
        if not parts.exchange.reset_agreed:
            return code
        prepared, watch = parts.steering.following, Stopwatch()
        del parts  # what it holds is as large as the next run's
        rescues.clear()
        stop.renew()


def run_once(
    world: World,
    prepared: Prepared,
    stop: StopSign,
    signals: Signals,
    watch: Stopwatch,
    rescues: list[Callable[[BaseException], None]],
) -> tuple[Parts, int]:
    """Run what the body rank has ``prepared``; its parts, which have ended, and the exit code. Collective."""
    plan = world.share(prepared.plan if world.is_body else None)
    watch.lap("configure")
    owner = claim(plan.folder) if world.is_body else None
    parts = build(world, plan, prepared, stop, watch)
    failure.reserve(plan.folder.failure_file(world.rank))
    rescues[:] = [partial(rescue, plan.folder, world.rank, parts.recorder)]
    built = tell_built(world, parts, plan.folder)
    watch.lap("wait for others")
    reports = world.to_body(RankReport(watch.seconds, peak_memory_mb()))
    if world.is_body:
        announce(plan, built)
        store_built(prepared, built, reports)
    steps = loop(parts, plan.clock.steps, plan.clock.coupling_step_ms)
    if not parts.exchange.reset_agreed:
        signals.let_results_be_written()
    parts.steering.let_go()
    for part in (parts.progress, parts.recorder, parts.brain, parts.body, parts.exchange):
        part.close()
    watch.lap("loop")
    reports = world.to_body(RankReport(watch.seconds, peak_memory_mb()))
    is_well = world.is_body and finalize(ended(prepared, built, reports, steps, stop, parts.steering.following))
    world.synchronise()
    is_well = world.share(world.is_body and plan.mode.end(plan.folder, steps) and is_well)
    parts.steering.close(steps, "" if is_well and not stop.failure else stop.reason or "results could not be made")
    if owner is not None:
        os.close(owner)
    code = exit_code(parts.exchange, complete=steps == plan.clock.steps) if is_well else EXIT_FAILED
    return parts, code


def tell_built(world: World, parts: Parts, folder: RunFolder) -> list[BuiltBrain]:
    """What the brain ranks have built, by rank, on the body rank. Collective over all ranks.

    Raises:
        ConfigurationError: on the body rank, if brain ranks refused to build; of the run nothing is left then.
    """
    try:
        return world.from_brains(None if isinstance(parts.brain, Idle) else parts.brain.built)
    except ConfigurationError:
        parts.recorder.close()
        folder.remove()
        raise


def rescue(folder: RunFolder, rank: int, recorder: Recorder, error: BaseException) -> None:
    """Before this rank ends the job because of ``error``: write why, for `cosim recover`, and what it has."""
    try:
        failure.tell(folder.failure_file(rank), f"rank {rank}: {error or type(error).__name__}")
        sys.stderr.write(f"cosim: what all ranks had written is kept: cosim recover {folder.path}\n")
    finally:  # to write what it has may fail, too
        if not isinstance(error, RecordingError):
            recorder.close()


def network_of(plan: Plan) -> Network | None:
    """The tables of the brain; None for a script."""
    return plan.brain if isinstance(plan.brain, Network) else None


def store_built(prepared: Prepared, built: Sequence[BuiltBrain], reports: Sequence[RankReport]) -> None:
    """What results are made from if the run is killed; ``reports`` are those of building. Body rank."""
    folder = prepared.plan.folder
    populations.write(folder.populations_file, built[0].populations)
    write_built(folder.built_file, BuiltRun(built, reports))


def ended(
    prepared: Prepared,
    built: Sequence[BuiltBrain],
    reports: Sequence[RankReport],
    steps: int,
    stop: StopSign,
    following: Prepared | None,
) -> EndedRun:
    """What results are made from. Body rank."""
    plan, experiment = prepared.plan, prepared.experiment
    return EndedRun(
        name=experiment.name,
        source=plan.folder,
        folder=plan.folder,
        clock=plan.clock,
        seed=plan.seed,
        body=experiment.body,
        network=network_of(plan),
        transfer_module=experiment.transfer_module,
        built=built,
        reports=reports,
        steps=steps,
        stopped_by=stop.reason,
        failure=stop.failure,
        followed_by=following.plan.folder.path.name if following else "",
    )


def announce(plan: Plan, built: Sequence[BuiltBrain]) -> None:
    """Log what was built; ``built`` is of all brain ranks. Body rank."""
    for note in built[0].notes:
        log.info("%s", note)
    for region, counts in built_regions(built).items():
        log.info("%s: %d neurons, %d synapses", region, counts["neurons"], counts["synapses"])
    log.info("%d brain ranks with %d threads each", len(built), built[0].threads)
    step_ms, min_delay_ms = plan.clock.coupling_step_ms, built[0].min_delay_ms
    if not is_multiple(step_ms, min_delay_ms):
        log.warning(
            "clock.coupling_step_ms = %g is no multiple of the network's smallest delay, %g ms: "
            "another coupling step will give other random numbers",
            step_ms,
            min_delay_ms,
        )


def exit_code(exchange: Exchange, complete: bool) -> int:
    """The same on all ranks."""
    if exchange.failed:
        return EXIT_FAILED
    return EXIT_COMPLETE if complete else EXIT_STOPPED
