# SPDX-License-Identifier: GPL-2.0-or-later
"""A run from start to end, the same program on every rank: configure, split, build, loop, finalize."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pkgutil import resolve_name
from types import ModuleType
from typing import Any

from cosim.body import kinds
from cosim.body.kind import Body
from cosim.body.warm import make_warm
from cosim.control.drive import DrivenFunctions
from cosim.control.inbox import Inbox
from cosim.control.listener import Listener
from cosim.control.state import StateFile
from cosim.control.steered_run import BrainByOrder, SteeredRun
from cosim.control.steering import BodySteering, BrainSteering
from cosim.devices.devices import Devices, places
from cosim.engines.built import BuiltBrain
from cosim.engines.nest.brain import Brain
from cosim.engines.nest.built_network import BuiltNetwork, build_network
from cosim.engines.nest.kernel import Kernel, holds
from cosim.engines.nest.kernel import start as start_nest
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
from cosim.parallel.conference import Conference
from cosim.parallel.exchange import Exchange
from cosim.parallel.lists import open_exchange
from cosim.parallel.machine import peak_memory_mb
from cosim.parallel.mpi import MPI
from cosim.parallel.stop import Signals, StopSign
from cosim.parallel.world import (
    World,
    fatal_errors_end_the_job,
    split,
)
from cosim.plan import Plan, Prepared, ports, prepare, settle_devices, spare_ports
from cosim.record import failure, populations
from cosim.record.built import BuiltRun, RankReport
from cosim.record.built import write as write_built
from cosim.record.commands import CommandLog
from cosim.record.disk import write_text
from cosim.record.folder import RunFolder, start_logging
from cosim.record.owner import claim
from cosim.record.profile import StepProfile, Stopwatch
from cosim.record.provenance import attributes
from cosim.record.recorder import BodyRecorder, BrainRecorder, Recorder
from cosim.record.returned import ReturnedValues
from cosim.record.summary import built_regions
from cosim.show.progress import Progress
from cosim.timegrid import is_multiple
from cosim.transfer import TransferFunctions

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
    for part in (parts.progress, parts.recorder, parts.brain, parts.body, parts.exchange):
        part.close()
    watch.lap("loop")
    reports = world.to_body(RankReport(watch.seconds, peak_memory_mb()))
    is_well = world.is_body and finalize(ended(prepared, built, reports, steps, stop))
    world.synchronise()
    is_well = world.share(world.is_body and plan.mode.end(plan.folder, steps) and is_well)
    parts.steering.close()
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
    prepared: Prepared, built: Sequence[BuiltBrain], reports: Sequence[RankReport], steps: int, stop: StopSign
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


def build(world: World, plan: Plan, prepared: Prepared, stop: StopSign, watch: Stopwatch) -> Parts:
    """The network with its devices on brain ranks, the body on its rank, which alone has ``prepared``. Collective."""
    if world.is_body:
        devices = plan.devices or agree_on_devices(world, prepared, None)
        return build_body(world, prepared, devices, stop, watch)
    kernel, network = world.on_brain(lambda: start_and_build(world, plan, watch))
    devices = plan.devices or agree_on_devices(world, prepared, network)
    return build_brain(world, plan, kernel, network, devices, stop, watch)


def start_and_build(world: World, plan: Plan, watch: Stopwatch) -> tuple[Kernel, BuiltNetwork]:
    """Start NEST and build the network in it. Brain ranks."""
    started = start_nest(world.brain, plan.virtual_processes, plan.seed, plan.clock.resolution_ms)
    watch.lap("start NEST")
    return started, build_network(started, plan.brain, plan.wiring, watch.lap)


def agree_on_devices(world: World, prepared: Prepared, network: BuiltNetwork | None) -> Devices:
    """The devices of a brain whose populations were not known before it stood. Collective over all ranks.

    Raises:
        ConfigurationError: on all ranks.
    """
    try:
        sizes = world.from_brains(network.sizes if network else None)
    except ConfigurationError:
        prepared.plan.folder.remove()
        raise
    return world.share(world.on_body(lambda: settle_devices(prepared, sizes[0])))


def build_brain(
    world: World,
    plan: Plan,
    kernel: Kernel,
    network: BuiltNetwork,
    devices: Devices,
    stop: StopSign,
    watch: Stopwatch,
) -> Parts:
    """Devices on the network and everything else that a brain rank needs in the loop."""
    exchange, step_ms = open_exchange(world, devices, stop), plan.clock.coupling_step_ms
    brain = world.on_brain(lambda: Brain(kernel, network, devices, step_ms, watch.lap, exchange.lists))
    is_own = partial(holds, plan.virtual_processes, world.brain)
    recorder = plan.mode.recorder(BrainRecorder(plan.folder.shard(world.rank), brain), brain, is_own)
    return Parts(
        brain=brain,
        body=Idle(),
        transfer=Idle(),
        exchange=exchange,
        recorder=recorder,
        profile=StepProfile(recorder.record_profile),
        progress=Idle(),
        stop=stop,
        steering=BrainSteering(brain, exchange, Conference(world, stop)),
    )


def build_body(world: World, prepared: Prepared, devices: Devices, stop: StopSign, watch: Stopwatch) -> Parts:
    """Body, transfer functions and everything else that the body rank needs in the loop."""
    plan, experiment = prepared.plan, prepared.experiment
    config, clock = experiment.config, plan.clock
    start_logging(plan.folder)
    body_file = experiment.body_file or "none"
    log.info("experiment %s, brain %s, body %s", experiment.folder, experiment.brain.path, body_file)
    for level, note in plan.mode.notes(experiment):
        log.log(level, "%s", note)
    for warning in prepared.warnings:
        log.warning("%s", warning)
    write_text(plan.folder.config_file, config.to_toml())
    if experiment.body_file:
        write_text(plan.folder.body_file, kinds.to_toml(experiment.body))
    steps_ms = clock.physics_step_ms, clock.coupling_step_ms
    body = make_warm(lambda: kinds.make_body(experiment.body, *steps_ms, **experiment.body_settings))
    warn_if_crowded(world, plan.virtual_processes // world.brain_ranks)
    exchange = open_exchange(world, devices, stop)
    if settle := devices.settle(exchange.readout):
        exchange.after_gather(settle)
    bound = ports(experiment, devices, body.ports, exchange.readout, exchange.stimulus, exchange.lists)
    known = attributes(experiment, world.brain_ranks) | {"force": int(plan.mode.options.force)}
    known |= plan.mode.provenance()
    returned = ReturnedValues(plan.folder)
    recorder = BodyRecorder(plan.folder, body, exchange, devices, clock, known, returned)
    functions = TransferFunctions(
        experiment.transfer_module,
        bound,
        clock.coupling_step_ms,
        seed=plan.seed,
        on_error=config.transfer.on_error,
        spare_ports=partial(spare_ports, experiment, devices),
        sources=places(devices.sources, exchange.stimulus),
        returned=returned,
    )
    sources = {each.port: bound[each.port] for each in devices.sources}
    driven = DrivenFunctions(functions, exchange, sources, body.ports, recorder.drive, plan.mode.driven())
    transfer = plan.mode.transfer(driven, exchange, devices, body)
    log.info("transfer functions: %s", ", ".join(transfer.names) or "none")
    watch.lap("start body")
    return Parts(
        brain=Idle(),
        body=body,
        transfer=transfer,
        exchange=exchange,
        recorder=recorder,
        profile=StepProfile(recorder.record_profile),
        progress=Progress(clock.steps, clock.coupling_step_ms),
        stop=stop,
        steering=steer(world, prepared, functions, driven, body, bound, exchange, stop),
    )


def steer(
    world: World,
    prepared: Prepared,
    functions: TransferFunctions,
    driven: DrivenFunctions,
    body: Body,
    bound: Mapping[str, Any],
    exchange: Exchange,
    stop: StopSign,
) -> BodySteering:
    """What takes commands while the run goes on. Body rank."""
    plan, options = prepared.plan, prepared.plan.mode.options
    conference = Conference(world, stop)

    def begin_again(overrides: Sequence[str]) -> Prepared:
        return prepare(plan.mode.again(plan.folder, overrides), world.brain_ranks, world.machines)

    steered = SteeredRun(
        clock=plan.clock,
        functions=functions,
        driven=driven,
        body=body,
        protocol=bound["protocol"],
        brain=BrainByOrder(conference),
        stop=stop,
        begin_again=begin_again,
        until=0 if options.paused else math.inf,
    )
    inbox = Inbox()
    listener = Listener(plan.folder.path, inbox, options.steer_socket) if options.steer else None
    return BodySteering(
        steered,
        inbox,
        listener,
        exchange,
        conference,
        CommandLog(plan.folder.command_log),
        StateFile(plan.folder.state_file if listener else None),
        recorded=plan.mode.commands(),
        holds=options.hold,
    )


class _Run(ModuleType):
    """This module can be called, as it takes the place of ``cosim.run(...)`` of Python where it was imported."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return resolve_name("cosim.client.session:run")(*arguments, **named)


sys.modules[__name__].__class__ = _Run


def warn_if_crowded(world: World, threads: int) -> None:
    """Say so if brain ranks of ``threads`` each and the body rank must share cores of this machine. Body rank."""
    missing = world.missing_cores(threads)
    if missing:
        log.warning(
            "%d brain ranks with %d threads each and the body rank have %d core%s less than they need here: "
            "fewer brain.virtual_processes or ranks may be faster, or OMP_WAIT_POLICY=passive in the environment",
            *(world.machines[0].brain_ranks, threads, missing, "" if missing == 1 else "s"),
        )
