# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands for transfer functions: add, edit, remove, enable, disable."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from cosim.control.commands.base import Answer, Command
from cosim.control.steered_run import SteeredRun
from cosim.transfer import TransferFunctions

NEEDS_TEXT, NEEDS_NAME = ("add", "edit"), ("edit", "remove", "enable", "disable")


class ChangeFunction(Command):
    """Change a transfer function; ``text`` is the source of one function, which is rehearsed before it acts."""

    command: Literal["tf"] = "tf"
    action: Literal["add", "edit", "remove", "enable", "disable"]
    name: str | None = None
    text: str | None = Field(None, max_length=1_000_000)
    silence: bool = Field(False, description="set the sources of what is disabled to 0, until it is enabled")

    @model_validator(mode="after")
    def _check_complete(self) -> ChangeFunction:
        for key, actions in (("text", NEEDS_TEXT), ("name", NEEDS_NAME)):
            if (getattr(self, key) is not None) != (self.action in actions):
                raise ValueError(f"{key}: must {'' if self.action in actions else 'not '}be given to {self.action}")
        if self.silence and self.action != "disable":
            raise ValueError(f"silence: must not be given to {self.action}")
        return self

    def act(self, run: SteeredRun) -> Answer:
        if self.silence:
            run.functions.disable(str(self.name), silence=True)
            return {"name": self.name}
        given = [each for each in (self.name, self.text) if each is not None]
        added = getattr(run.functions, self.action)(*given)
        return {"name": added if self.action == "add" else self.name}


class ShowFunctions(Command):
    """Show the transfer functions: state, message and source of each, and the text of transfer.py as it now is."""

    command: Literal["functions"] = "functions"
    is_recorded: ClassVar[bool] = False

    def is_repeated(self, brain_alone: bool) -> bool:
        """It changes nothing."""
        return False

    def act(self, run: SteeredRun) -> Answer:
        functions = run.functions
        known = {name: {**state, "source": _source(functions, name)} for name, state in functions.states.items()}
        return {"functions": known, "text": functions.text()}


def _source(functions: TransferFunctions, name: str) -> str:
    """Empty for a function that no text defines."""
    try:
        return functions.source(name)
    except ValueError:
        return ""
