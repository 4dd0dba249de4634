# SPDX-License-Identifier: GPL-2.0-or-later
"""What a rank needs in the loop is built: the brain with its devices, or the body with what belongs to it."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from cosim.body import kinds
from cosim.body.kind import Body
from cosim.body.warm import make_warm
from cosim.control.drive import DrivenFunctions
from cosim.control.inbox import Inbox
from cosim.control.listener import Listener, listen
from cosim.control.state import StateFile
from cosim.control.steered_run import BrainByOrder, SteeredRun
from cosim.control.steering import BodySteering, BrainSteering
from cosim.devices.devices import Devices, places
from cosim.engines.nest.brain import Brain
from cosim.engines.nest.built_network import BuiltNetwork, build_network
from cosim.engines.nest.kernel import Kernel, holds
from cosim.engines.nest.kernel import start as start_nest
from cosim.errors import (
    ConfigurationError,
)
from cosim.loop import Idle, Parts
from cosim.parallel.conference import Conference
from cosim.parallel.exchange import Exchange
from cosim.parallel.lists import open_exchange
from cosim.parallel.stop import StopSign
from cosim.parallel.world import (
    World,
)
from cosim.plan import Plan, Prepared, ports, prepare, settle_devices, spare_ports
from cosim.record import failed
from cosim.record.commands import CommandLog
from cosim.record.disk import write_text
from cosim.record.folder import start_logging
from cosim.record.profile import StepProfile, Stopwatch
from cosim.record.provenance import attributes
from cosim.record.recorder import BodyRecorder, BrainRecorder
from cosim.record.returned import ReturnedValues
from cosim.show.progress import Progress
from cosim.transfer import TransferFunctions

log = logging.getLogger("cosim")

WayIn = tuple[Inbox, Listener | None]
"""Where commands wait, and what brings them; None for a run that takes none. Only on the body rank."""


def build(world: World, plan: Plan, prepared: Prepared, stop: StopSign, watch: Stopwatch) -> Parts:
    """The network with its devices on brain ranks, the body on its rank, which alone has ``prepared``. Collective."""
    way_in = world.on_body(lambda: open_way_in(plan))
    if world.is_body:
        devices = plan.devices or agree_on_devices(world, prepared, None)
        return build_body(world, prepared, devices, way_in, stop, watch)
    kernel, network = world.on_brain(lambda: start_and_build(world, plan, watch))
    devices = plan.devices or agree_on_devices(world, prepared, network)
    return build_brain(world, plan, kernel, network, devices, stop, watch)


def open_way_in(plan: Plan) -> WayIn:
    """Begin to take commands, if the run shall. Body rank.

    Raises:
        ConfigurationError: none can be taken, though it was asked for; of the run nothing is left then.
    """
    options, inbox = plan.mode.options, Inbox()
    if not options.steer:
        return inbox, None
    try:
        return inbox, listen(plan.folder.path, inbox, options.steer_socket, options.paused or options.hold)
    except ConfigurationError:
        plan.folder.remove()
        raise


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


def build_body(
    world: World, prepared: Prepared, devices: Devices, way_in: WayIn, stop: StopSign, watch: Stopwatch
) -> Parts:
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
        tell_failed=partial(failed.tell, plan.folder.failed_file),
        returned=returned,
        keep=partial(write_text, plan.folder.transfer_file),
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
        steering=steer(world, prepared, functions, driven, body, bound, exchange, way_in, stop),
    )


def steer(
    world: World,
    prepared: Prepared,
    functions: TransferFunctions,
    driven: DrivenFunctions,
    body: Body,
    bound: Mapping[str, Any],
    exchange: Exchange,
    way_in: WayIn,
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
    inbox, listener = way_in
    return BodySteering(
        steered,
        inbox,
        listener,
        exchange,
        conference,
        CommandLog(plan.folder.command_log),
        StateFile(plan.folder.state_file if listener else None),
        recorded=plan.mode.commands(),
        along=plan.mode.repeats_until(),
        holds=options.hold,
    )


def warn_if_crowded(world: World, threads: int) -> None:
    """Say so if brain ranks of ``threads`` each and the body rank must share cores of this machine. Body rank."""
    missing = world.missing_cores(threads)
    if missing:
        log.warning(
            "%d brain ranks with %d threads each and the body rank have %d core%s less than they need here: "
            "fewer brain.virtual_processes or ranks may be faster, or OMP_WAIT_POLICY=passive in the environment",
            *(world.machines[0].brain_ranks, threads, missing, "" if missing == 1 else "s"),
        )
