# SPDX-License-Identifier: GPL-2.0-or-later
"""The command with which a loop in another process begins to take part in every step."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cosim.control.commands.base import Answer, Command
from cosim.control.hands import Hands


class Drive(Command):
    """Let a program take part in every step, after the transfer functions, when the run goes on.

    It listens on a Unix socket at the path ``name``. When it closes that, the run stands still.
    """

    command: Literal["drive"] = "drive"
    name: str = Field(min_length=1)

    def is_repeated(self, brain_alone: bool) -> bool:
        """What it wrote is recorded by itself."""
        return False

    def act(self, hands: Hands) -> Answer:
        hands.check_not_over()
        hands.driven.begin(self.name, hands.stop)
        return {"layout": hands.driven.layout.to_json()}
