# SPDX-License-Identifier: GPL-2.0-or-later
"""The coupling step. Its order exists here and nowhere else.

Over [t, t + step) brain and body advance in parallel on what was agreed at t. At t + step the brain ranks
send the readout to the body rank; transfer functions run there on readout and body state of exactly that
interval; the body rank sends the stimulus back, which acts from t + step on. This is the order of the
Neurorobotics Platform's closed-loop engine, made deterministic. While the body rank runs the transfer
functions, brain ranks begin the next step with what no stimulus changes, which is most of NEST's work up to its
first exchange of spikes. While they are in the next step, the body rank records.

Commands of steering act between two steps, in a round that all ranks know of one step ahead: what they change acts
with the stimulus that was made at the end of the step before (see `cosim.control.steering`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cosim.body.kind import Body
from cosim.control.steering import Steering
from cosim.engines.engine import SteppedBrain
from cosim.errors import FAILURES
from cosim.parallel.exchange import Exchange
from cosim.parallel.stop import StopSign
from cosim.record.profile import StepProfile
from cosim.record.recorder import Recorder
from cosim.show.progress import Progress
from cosim.transfer import StimulusMaker


def _nothing(*_: object) -> None:
    """What a phase of other ranks does here."""


class Idle:
    """Stands in for what lives on other ranks: every method returns at once."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return _nothing


@dataclass(frozen=True)
class Parts:
    """Everything that a step needs on this rank."""

    brain: SteppedBrain | Idle
    body: Body | Idle
    transfer: StimulusMaker | Idle
    exchange: Exchange
    recorder: Recorder
    profile: StepProfile
    progress: Progress | Idle
    stop: StopSign
    steering: Steering


def loop(parts: Parts, steps: int, step_ms: float) -> int:
    """Run ``steps`` coupling steps, or fewer if the ranks agree to stop; return how many. Collective."""
    try:
        return _loop(parts, steps, step_ms)
    finally:
        parts.profile.hand_over()


def _loop(parts: Parts, steps: int, step_ms: float) -> int:
    brain, exchange, recorder, stop = parts.brain, parts.exchange, parts.recorder, parts.stop
    # Looked up once: after NEST's Run nothing of Python is in a cache, and every look-up costs.
    stimulate, run, run_ahead, read = brain.stimulate, brain.run, brain.run_ahead, brain.read
    advance, apply, show = parts.body.advance, parts.transfer.apply, parts.progress.update
    lap, steering = parts.profile.lap, parts.steering
    show(0)
    with stop.on_failure("transfer functions at 0 ms"):
        apply(0)
    exchange.share(steering.next_round <= 1)
    exchange.receive()
    parts.profile.start()
    is_round = exchange.round_agreed
    for step in range(steps):
        if is_round:
            meet(parts, step)
        if steering.is_paced:
            steering.keep_pace(step)
        lap("steer")
        if exchange.stop_agreed:
            return step
        is_round = exchange.round_agreed
        stimulate(exchange.stimulus)
        lap("stimulate")
        run()
        lap("brain")
        try:
            advance()
        except FAILURES as error:
            stop.fail(f"body in the step from {step * step_ms:g} ms", error)
        lap("body")
        read(exchange.readout)
        lap("read")
        exchange.gather(recorder.flush_is_due())
        lap("gather")
        try:
            apply(step + 1)
        except FAILURES as error:
            stop.fail(f"transfer functions after step {step + 1}, at {(step + 1) * step_ms:g} ms", error)
        lap("transfer")
        exchange.share(steering.next_round <= step + 2)
        lap("share")
        recorder.record()
        lap("record")
        if step + 1 < steps and not is_round:
            run_ahead()
        lap("ahead")
        exchange.receive()
        lap("receive")
        if exchange.flush_agreed:
            parts.profile.hand_over()
            recorder.flush()
        show(step + 1)
        lap("flush")
    if is_round:
        meet(parts, steps)
    return steps


def meet(parts: Parts, step: int) -> None:
    """A round of steering after ``step`` steps, which are on disk before anything is changed. Collective."""
    parts.profile.hand_over()
    parts.recorder.flush()
    parts.steering.round(step)
