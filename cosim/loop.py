# SPDX-License-Identifier: GPL-2.0-or-later
"""The coupling step. Its order exists here and nowhere else.

Over [t, t + step) brain and body advance in parallel on what was agreed at t. At t + step the brain ranks send the
readout to the body rank; transfer functions run there on readout and body state of exactly that interval; the body
rank sends the stimulus back, which acts from t + step on. This is the order of the Neurorobotics Platform's
closed-loop engine, made deterministic. While the body rank runs the transfer functions, brain ranks take over the
spikes of the step; while brain ranks are already in the next step, the body rank records.
"""

from __future__ import annotations

from dataclasses import dataclass

from cosim.body.kinds import Body
from cosim.brain.brain import Brain
from cosim.exchange import Exchange
from cosim.profile import StepProfile
from cosim.progress import Progress
from cosim.record.recorder import Recorder
from cosim.stop import StopSign
from cosim.transfer import TransferFunctions


class Idle:
    """Stands in for what lives on other ranks: every method returns at once."""

    def __getattr__(self, _name: str):
        return lambda *_: None


@dataclass(frozen=True)
class Parts:
    """Everything that a step needs on this rank."""

    brain: Brain | Idle
    body: Body | Idle
    transfer: TransferFunctions | Idle
    exchange: Exchange
    recorder: Recorder
    profile: StepProfile
    progress: Progress | Idle
    stop: StopSign


def loop(parts: Parts, steps: int, step_ms: float) -> int:
    """Run ``steps`` coupling steps, or fewer if the ranks agree to stop; return how many. Collective over all ranks."""
    brain, body, transfer, exchange = parts.brain, parts.body, parts.transfer, parts.exchange
    recorder, stop, lap = parts.recorder, parts.stop, parts.profile.lap

    with stop.on_failure("transfer functions at 0 ms"):
        transfer.apply(0)
    exchange.share()
    exchange.receive()
    parts.profile.start()
    parts.progress.update(0)
    for step in range(steps):
        if exchange.stop_agreed:
            return step
        brain.stimulate(exchange.stimulus)
        lap("stimulate")
        brain.run()
        lap("brain")
        with stop.on_failure("body in the step from {:g} ms", step * step_ms):
            body.advance()
        lap("body")
        brain.read(exchange.readout)
        lap("read")
        exchange.gather(flush=recorder.flush_is_due())
        lap("gather")
        with stop.on_failure("transfer functions after step {}, at {:g} ms", step + 1, (step + 1) * step_ms):
            transfer.apply(step + 1)
        lap("transfer")
        exchange.share()
        lap("share")
        recorder.record()
        lap("record")
        exchange.receive()
        lap("receive")
        if exchange.flush_agreed:
            recorder.flush()
        lap("flush")
        parts.profile.end_step()
        parts.progress.update(step + 1)
    return steps
