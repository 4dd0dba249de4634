# SPDX-License-Identifier: GPL-2.0-or-later
"""The command with which a loop in another process begins to take part in every step."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cosim.control.commands.base import Answer, Command
from cosim.control.steered_run import SteeredRun


class DriveByLoop(Command):
    """Let a program take part in every step, after the transfer functions, when the run goes on.

    It listens on a Unix socket at the path ``name``. When it closes that, the run stands still.
    """

    command: Literal["drive"] = "drive"
    name: str = Field(min_length=1)

    def is_repeated(self, brain_alone: bool) -> bool:
        """What it wrote is recorded by itself."""
        return False

    def act(self, run: SteeredRun) -> Answer:
        run.check_not_over()
        run.driven.begin(self.name, run.stop)
        return {"layout": run.driven.layout.to_json()}
