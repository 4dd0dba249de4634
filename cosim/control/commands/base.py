# SPDX-License-Identifier: GPL-2.0-or-later
"""What every command says of itself.

A command is a JSON object with the name of a command and its fields; its class checks them and does it. It acts on the
body rank between two steps, on a `SteeredRun`. What it refuses it refuses as a whole: the run is then as it was.
"""

from __future__ import annotations

from typing import Any, ClassVar

from cosim.control.steered_run import SteeredRun
from cosim.table import Table

Answer = dict[str, Any]


class Command(Table):
    """Something that may be done to a run; ``command`` is a Literal with its own name as the default."""

    command: str

    is_recorded: ClassVar[bool] = True
    """Whether the run writes it down; mere questions it does not."""
    waits: ClassVar[bool] = False
    """Whether it is answered only when the run stands still again, or has ended."""

    def to_json(self) -> dict[str, Any]:
        """What is written down: all that was said, so that `registry.parse` makes the same command of it."""
        return self.model_dump(mode="json", exclude_unset=True)

    def is_repeated(self, brain_alone: bool) -> bool:
        """Whether a run that is resumed, or the brain alone in a replay, obeys it again: results depend on it."""
        return not brain_alone

    def act(self, run: SteeredRun) -> Answer | None:
        """Do it; returns what the answer says besides step and state. Body rank, in a round.

        Raises:
            ValueError: it cannot be done (CommandError and BrainError are such); everything is as it was.
        """
        raise NotImplementedError
