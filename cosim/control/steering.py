# SPDX-License-Identifier: GPL-2.0-or-later
"""Rounds of steering: where commands act, between two steps, on all ranks alike.

The body rank announces a round with the stimulus, one step ahead: brain ranks must know of it before they would run
ahead. At the end of the announced step everything is recorded and on disk. Then the body rank obeys what has come, one
command after the other; what concerns the brain all brain ranks do together, or none of them. Before the next step the
stimulus is shared once more, as commands may have changed it. To pause is to stay in a round.

A run that nobody steers has no rounds: it costs the loop a comparison in each step. Recorded commands, of a run that is
resumed or replayed, are obeyed again after the same steps as before.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

from cosim.control.commands import registry
from cosim.control.commands.base import Command
from cosim.control.commands.time import TimeCommand
from cosim.control.inbox import Inbox, Letter
from cosim.control.listener import Listener
from cosim.control.state import StateFile
from cosim.control.steered_run import NextRun, SteeredRun
from cosim.engines.engine import SteppedBrain
from cosim.errors import FAILURES, BrainError, ConfigurationError, Departure
from cosim.parallel.conference import Conference
from cosim.parallel.exchange import Exchange
from cosim.record.commands import CommandLog, Obeyed

log = logging.getLogger("cosim")

# While a run stands still brain ranks are asked so often for signals that they got.
HEARTBEAT_S = 0.25
# What a command may be refused by.
REFUSALS = (ValueError, BrainError, ConfigurationError)
# What brain ranks are told besides methods of the brain.
GO_ON, NOTHING = "go on", "nothing"
ORDERS = ("set_parameters", "parameters", "scale_weights", "check_reset", "reset", "undo")


class Steering(Protocol):
    """What the loop needs of it on every rank."""

    next_round: float
    """The number of steps after which a round is wished, infinite for none; other threads set it to 0."""
    is_paced: bool
    """Whether steps have to wait for the wall clock."""

    @property
    def following(self) -> Any:
        """What is prepared to begin after this run, in the same processes; None on brain ranks."""

    def keep_pace(self, step: int) -> None:
        """Wait until step number ``step`` may begin."""

    def round(self, step: int) -> None:
        """Obey commands after ``step`` steps. Collective."""

    def let_go(self) -> None:
        """The loop has ended: a program that takes part in every step may go."""

    def close(self, steps: int, failure: str) -> None:
        """Answer whoever still waits: the run has ended after ``steps`` steps, and why if it failed."""


class NoSteering:
    """Of a loop that nobody steers."""

    following, next_round, is_paced = None, math.inf, False

    def keep_pace(self, step: int) -> None:
        """There is none."""

    def round(self, step: int) -> None:
        """There is none."""

    def let_go(self) -> None:
        """Nobody takes part."""

    def close(self, steps: int, failure: str) -> None:
        """Nobody waits."""


class BrainSteering(NoSteering):
    """Does on a brain rank what the body rank asks for."""

    def __init__(self, brain: SteppedBrain, exchange: Exchange, conference: Conference) -> None:
        self._brain, self._exchange, self._conference = brain, exchange, conference

    def round(self, step: int) -> None:
        """Carry out orders until the run goes on."""
        while (order := self._conference.hear()) != GO_ON:
            self._obey(order)
        self._conference.reply()
        self._exchange.share(False)
        self._exchange.receive()

    def _obey(self, order: Any) -> None:
        if order == NOTHING:
            self._conference.reply()
            return
        method, arguments = order
        assert method in ORDERS
        try:
            self._conference.reply(getattr(self._brain, method)(**arguments))
        except BrainError as error:
            if method == "reset":  # half-way: there is no brain to go on with
                raise
            self._conference.reply(refusal=_in_a_line(error))


class BodySteering:
    """Takes commands from an inbox and from a recorded run, and answers them."""

    def __init__(
        self,
        run: SteeredRun,
        inbox: Inbox,
        listener: Listener | None,
        exchange: Exchange,
        conference: Conference,
        command_log: CommandLog,
        state: StateFile,
        recorded: Iterable[Obeyed] = (),
        along: float = 0,
        holds: bool = False,
    ) -> None:
        self._run, self._inbox, self._exchange, self._conference = run, inbox, exchange, conference
        self._log, self._state, self._holds, self._listener = command_log, state, holds, listener
        self._recorded, self._along = deque(recorded), along
        self._waiting: list[Letter] = []
        self._paced_from: tuple[float, int] = 0.0, 0
        self.is_paced = False
        self.next_round = math.inf
        inbox.on_arrival = self._wish_round
        self._plan_round()
        run.driven.leave = self._pause_soon

    @property
    def following(self) -> NextRun | None:
        """What is prepared to begin after this run, in the same processes."""
        return self._run.following

    def keep_pace(self, step: int) -> None:
        """Wait until the wall clock is as far as the model's time, or until there is a command or a stop."""
        began, first_step = self._paced_from
        due = began + (step - first_step) * self._run.clock.coupling_step_ms / 1000 / self._run.pace
        while (left_s := due - time.monotonic()) > 0 and self._inbox.is_empty and not self._run.stop:
            time.sleep(min(left_s, HEARTBEAT_S))

    def round(self, step: int) -> None:
        """Obey commands until the run goes on. Collective: `BrainSteering.round` on brain ranks."""
        run = self._run
        run.step = step
        self._repeat()
        if run.is_over and self._holds:
            run.pause()
        while not run.stop:
            if run.is_paused:
                self._answer_waiting()
            if letter := self._inbox.take():
                self._obey(letter)
            elif run.is_paused:
                self._stand_still()
            else:
                break
        self._go_on()

    def let_go(self) -> None:
        """A program whose loop takes part is told that the run has ended."""
        self._run.driven.close()

    def close(self, steps: int, failure: str) -> None:
        """Answer whoever still waits: the run has ended."""
        self._run.step = steps
        end = {"ok": not failure, **self._here(), "state": "ended"} | ({"error": failure} if failure else {})
        for letter in self._waiting:
            letter.answer(end)
        if self._listener:
            self._listener.close()

    # When rounds take place.

    def _wish_round(self) -> None:
        """A letter has come; called by the thread that brings it."""
        self.next_round = 0

    def _plan_round(self) -> None:
        """Say when the next round has to be; a letter that comes just now must not be missed."""
        wishes = [self._run.until]
        wishes += [self._recorded[0].step] if self._recorded else []
        wishes += [self._run.clock.steps] if self._holds else []
        self.next_round = min(wishes)
        if not self._inbox.is_empty:
            self.next_round = 0

    def _pause_soon(self) -> None:
        """What a loop leaves behind: a wish as if it had sent one."""
        self._inbox.put(Letter({"command": "pause"}, "the end of a loop", lambda answer: None))

    def _go_on(self) -> None:
        run = self._run
        if not run.stop:
            run.driven.hand_over(run.step)
        self.is_paced = math.isfinite(run.pace)
        self._paced_from = time.monotonic(), run.step
        self._state.write("runs", run)
        self._conference.ask(GO_ON)
        self._plan_round()
        self._exchange.share(self.next_round <= run.step + 1)
        self._exchange.receive()

    def _stand_still(self) -> None:
        self._state.write("paused", self._run)
        if self._listener:
            self._listener.expect()
        self._inbox.wait(HEARTBEAT_S)
        self._conference.ask(NOTHING)

    # What is done in a round.

    def _repeat(self) -> None:
        """Obey again what a recorded run obeyed here."""
        while self._recorded and self._recorded[0].step <= self._run.step:
            obeyed = self._recorded.popleft()
            try:
                command = registry.parse(obeyed.what)
                if command.is_repeated(brain_alone=False):
                    command.act(self._run)
            except REFUSALS as error:
                what = f"{obeyed.what.get('command')} of step {obeyed.step}"
                raise Departure(f"the recorded command {what} cannot be done again: {_in_a_line(error)}") from None
            self._log.append(obeyed)

    def _obey(self, letter: Letter) -> None:
        run = self._run
        try:
            command = registry.parse(letter.command)
            self._check_free(command)
            answer = command.act(run) or {}
        except REFUSALS as error:
            log.warning("step %d, %s: refused: %s", run.step, letter.who, _in_a_line(error))
            letter.answer({"ok": False, "error": _in_a_line(error), **self._here()})
            return
        except FAILURES as error:  # of a body or a port of the user's own, which may be anything now
            run.stop.fail(f"command {letter.command.get('command')} after step {run.step}", error)
            letter.answer({"ok": False, "error": _in_a_line(error), **self._here()})
            return
        if command.is_recorded:
            content = command.to_json()
            log.info("step %d, %s: %s", run.step, letter.who, _in_words(content))
            self._log.append(Obeyed(run.step, time.time(), letter.who, content))
        if command.waits:
            self._waiting.append(letter)
        else:
            letter.answer({"ok": True, **self._here(), **answer})

    def _check_free(self, command: Command) -> None:
        """A run that goes along a recorded one takes no changes but those that were recorded."""
        if self._run.step < self._along and command.is_recorded and not isinstance(command, TimeCommand):
            until = "its end" if math.isinf(self._along) else f"step {self._along:g}"
            raise ValueError(f"{command.command}: must wait until {until}, as the run goes along a recorded one")

    def _answer_waiting(self) -> None:
        for letter in self._waiting:
            letter.answer({"ok": True, **self._here()})
        self._waiting = []

    def _here(self) -> dict[str, Any]:
        run = self._run
        state = "paused" if run.is_paused else "runs"
        return {"step": run.step, "t_ms": run.step * run.clock.coupling_step_ms, "state": state}


def _in_a_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _in_words(content: dict[str, Any]) -> str:
    """A command for the log: ``set_port port=arm attribute=rate_hz value=5.0``."""
    return " ".join([content["command"], *(f"{key}={value}" for key, value in content.items() if key != "command")])
