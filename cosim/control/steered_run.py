# SPDX-License-Identifier: GPL-2.0-or-later
"""What commands act on: the parts of a run that a person may touch, and when it goes on. Body rank."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cosim.body.kind import Body
from cosim.control.drive import DrivenFunctions
from cosim.errors import CommandError
from cosim.experiment.config import Clock
from cosim.parallel.conference import Conference
from cosim.parallel.stop import StopSign
from cosim.table import Table
from cosim.transfer import TransferFunctions

# What one brain rank may have done when another one refuses it.
UNDONE = ("set_parameters", "scale_weights")


class NextRun(Protocol):
    """A run that is prepared; `cosim.plan.Prepared`."""

    @property
    def plan(self) -> Any:
        """With its ``folder``."""


class BrainByOrder:
    """The brain, which lives on other ranks: it is told what to do, on all of them or on none."""

    def __init__(self, conference: Conference) -> None:
        self._conference = conference

    def change(self, method: str, **arguments: Any) -> list[Any]:
        """Call a method of `SteppedBrain` on all brain ranks; what each returned.

        Raises:
            CommandError: one of them refused; all have taken it back.
        """
        try:
            return self.look(method, **arguments)
        except CommandError:
            if method in UNDONE:
                self._conference.ask(("undo", {}))
            raise

    def reset(self, steps_done: int) -> None:
        """Build the brain anew after so many steps; where that fails half-way the brain rank ends the job.

        Raises:
            CommandError: it cannot be done; everything is as it was.
        """
        self.change("check_reset")
        self._conference.ask(("reset", {"steps_done": steps_done}))

    def look(self, method: str, **arguments: Any) -> list[Any]:
        """Call a method of `SteppedBrain` that changes nothing on all brain ranks; what each returned.

        Raises:
            CommandError: one of them refused.
        """
        replies = self._conference.ask((method, arguments))
        refusals = [reply.refusal for reply in replies if reply.refusal]
        if refusals:
            raise CommandError(refusals[0])
        return [reply.result for reply in replies]


@dataclass
class SteeredRun:
    """The run between two steps, after ``step`` of them.

    ``until`` is the number of steps after which the run stands still, infinite if it goes on, 0 while it stands;
    ``pace`` how many times as fast as real time it runs at most.
    """

    clock: Clock
    functions: TransferFunctions
    driven: DrivenFunctions
    body: Body
    protocol: Table
    brain: BrainByOrder
    stop: StopSign
    begin_again: Callable[[Sequence[str]], NextRun]
    """Prepares the run that is to follow this one, with these ``key=value`` besides; raises ConfigurationError."""
    step: int = 0
    until: float = math.inf
    pace: float = math.inf
    following: NextRun | None = None
    """What follows this run in the same processes."""

    @property
    def is_paused(self) -> bool:
        """Whether the run stands still here."""
        return self.step >= self.until

    @property
    def is_over(self) -> bool:
        """Whether all steps are done."""
        return self.step == self.clock.steps

    def pause(self) -> None:
        """Stand still here."""
        self.until = 0

    def go(self, until: float = math.inf) -> None:
        """Go on, and stand still after ``until`` steps."""
        self.until = until

    def check_not_over(self) -> None:
        """Raise CommandError where no step is left."""
        if self.is_over:
            raise CommandError(f"all {self.clock.steps} steps are done; reset the run, or finish it")

    def reset_all(self, overrides: Sequence[str]) -> Path:
        """End this run, and begin it anew when its results are there; returns the folder of the new one."""
        self.following = self.begin_again(overrides)
        self.stop.is_reset = True
        self.stop.request("reset")
        return self.following.plan.folder.path

    def reset(self, what: str) -> None:
        """Let a part of the run, ``brain``, ``body`` or ``transfer`` functions, begin anew."""
        if what == "brain":
            self.brain.reset(self.step)
        elif what == "body":
            self.body.reset()
        else:
            self.functions.reset()

    def status(self) -> dict[str, Any]:
        """What is known of the run, for an answer."""
        pace, functions = None if math.isinf(self.pace) else self.pace, self.functions
        held = {"held": sorted(functions.held)} if functions.held else {}
        parts = {"parts": list(self.body.parts)}
        return {"steps": self.clock.steps, "pace": pace, "transfer_functions": functions.states, **parts, **held}
