# SPDX-License-Identifier: GPL-2.0-or-later
"""The command that begins anew, with the whole run or with a part of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from cosim.control.commands.base import Answer, Command
from cosim.control.steered_run import SteeredRun


class Reset(Command):
    """Begin anew: ``all``, ``body``, ``transfer`` functions or ``brain``.

    With ``all`` this run ends, and the same experiment begins as a new run with results of its own, in the same
    processes; ``overrides``, such as ``seed=4``, hold for it as ``--set`` does, besides those of this run. What else is
    reset begins as it did at 0 ms, while the time of the run goes on. Transfer functions that were edited stay edited.
    """

    command: Literal["reset"] = "reset"
    what: Literal["all", "body", "transfer", "brain"] = "all"
    overrides: tuple[str, ...] = Field((), description="key=value each")

    @model_validator(mode="after")
    def _check_overrides(self) -> Reset:
        if self.overrides and self.what != "all":
            raise ValueError(f"overrides: must be empty with what = {self.what!r}, as only a new run takes them")
        return self

    def is_repeated(self, brain_alone: bool) -> bool:
        """Not that of the whole run: the new one has results of its own."""
        return self.what == "brain" or not (brain_alone or self.what == "all")

    def act(self, run: SteeredRun) -> Answer | None:
        if self.what == "all":
            return {"folder": str(run.reset_all(self.overrides))}
        run.reset(self.what)
        return None
