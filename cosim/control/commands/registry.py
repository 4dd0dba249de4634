# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands by name: one line for each, the file and the class that says everything of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pkgutil import resolve_name
from typing import Any

import pydantic

from cosim.control.commands.base import Command
from cosim.errors import CommandError, nearest

COMMANDS = {
    "pause": "cosim.control.commands.time:Pause",
    "go": "cosim.control.commands.time:Go",
    "step": "cosim.control.commands.time:Step",
    "run_until": "cosim.control.commands.time:RunUntil",
    "pace": "cosim.control.commands.time:Pace",
    "stop": "cosim.control.commands.time:Stop",
    "mark": "cosim.control.commands.time:MarkTime",
    "status": "cosim.control.commands.time:Status",
    "set_port": "cosim.control.commands.values:SetPort",
    "release_port": "cosim.control.commands.values:ReleasePort",
    "send": "cosim.control.commands.values:Send",
    "set_protocol": "cosim.control.commands.values:SetProtocol",
    "set_population": "cosim.control.commands.brain:SetPopulation",
    "get_population": "cosim.control.commands.brain:GetPopulation",
    "scale_weights": "cosim.control.commands.brain:ScaleWeights",
    "tf": "cosim.control.commands.functions:ChangeFunction",
    "push": "cosim.control.commands.body:Push",
    "place": "cosim.control.commands.body:Place",
    "hold": "cosim.control.commands.body:Hold",
    "set_joints": "cosim.control.commands.body:SetJoints",
    "drive": "cosim.control.commands.drive:DriveByLoop",
    "functions": "cosim.control.commands.functions:ShowFunctions",
    "reset": "cosim.control.commands.reset:Reset",
}


def parse(content: Mapping[str, Any]) -> Command:
    """The command that a JSON object says.

    Raises:
        CommandError: there is no such command, or its fields are not what they must be.
    """
    name = content.get("command")
    if not isinstance(name, str) or name not in COMMANDS:
        raise CommandError(f"command = {name!r}: {nearest(str(name), COMMANDS)}")
    try:
        return resolve_name(COMMANDS[name]).model_validate(content)
    except pydantic.ValidationError as error:
        raise CommandError("; ".join(_problems(name, error))) from None


def _problems(name: str, error: pydantic.ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        where = ".".join([name, *map(str, problem["loc"])])
        yield f"{where}: {problem['msg'].removeprefix('Value error, ')}"
