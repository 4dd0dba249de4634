# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands for when the run goes on: pause, go, step, run_until, pace, stop; mark and status."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field

from cosim.control.commands.base import Answer, Command
from cosim.control.steered_run import SteeredRun
from cosim.errors import CommandError
from cosim.timegrid import is_multiple


class TimeCommand(Command):
    """What says when the run goes on, and changes nothing in its results."""

    def is_repeated(self, brain_alone: bool) -> bool:
        """A run that is repeated goes on by itself."""
        return False


class Pause(TimeCommand):
    """Stand still after the running step."""

    command: Literal["pause"] = "pause"

    def act(self, run: SteeredRun) -> None:
        run.pause()


class Go(TimeCommand):
    """Go on, up to the end of the run."""

    command: Literal["go"] = "go"

    def act(self, run: SteeredRun) -> None:
        run.check_not_over()
        run.go()


class Step(TimeCommand):
    """Go on by so many coupling steps, and stand still then; that is answered."""

    command: Literal["step"] = "step"
    steps: int = Field(1, ge=1)
    waits: ClassVar[bool] = True

    def act(self, run: SteeredRun) -> None:
        run.check_not_over()
        run.go(until=run.step + self.steps)


class RunUntil(TimeCommand):
    """Go on until the model's time is ``t_ms``, and stand still then; that is answered."""

    command: Literal["run_until"] = "run_until"
    t_ms: float = Field(ge=0)
    waits: ClassVar[bool] = True

    def act(self, run: SteeredRun) -> None:
        step_ms = run.clock.coupling_step_ms
        if not is_multiple(self.t_ms, step_ms):
            raise CommandError(f"t_ms = {self.t_ms:g}: must be a multiple of clock.coupling_step_ms = {step_ms:g}")
        if self.t_ms > run.clock.steps * step_ms:
            raise CommandError(f"t_ms = {self.t_ms:g}: must be at most {run.clock.steps * step_ms:g}, the run's end")
        until = round(self.t_ms / step_ms)
        if until <= run.step:
            raise CommandError(f"t_ms = {self.t_ms:g}: must be more than {run.step * step_ms:g}, where the run is")
        run.go(until)


class Pace(TimeCommand):
    """Run at most at ``factor`` times real time, which a robot needs; null: as fast as it can."""

    command: Literal["pace"] = "pace"
    factor: float | None = Field(gt=0)

    def act(self, run: SteeredRun) -> None:
        run.pace = self.factor or math.inf


class Stop(TimeCommand):
    """End the run, with results of all steps that are done; that is answered when they are there."""

    command: Literal["stop"] = "stop"
    waits: ClassVar[bool] = True

    def act(self, run: SteeredRun) -> None:
        run.stop.request("asked to by a command")


class MarkTime(TimeCommand):
    """Write a text down beside the time; it changes nothing."""

    command: Literal["mark"] = "mark"
    text: str = Field(max_length=10_000)

    def act(self, run: SteeredRun) -> None:
        """Nothing besides being recorded."""


class Status(TimeCommand):
    """How far the run is, and what it does."""

    command: Literal["status"] = "status"
    is_recorded: ClassVar[bool] = False

    def act(self, run: SteeredRun) -> Answer:
        return run.status()
