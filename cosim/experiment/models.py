# SPDX-License-Identifier: GPL-2.0-or-later
"""The brain and the body that an experiment names: folders, see `search`, or a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosim.body import kinds
from cosim.body.kind import Description
from cosim.body.nobody import NoBody
from cosim.errors import ConfigurationError
from cosim.experiment import search
from cosim.experiment.brains import ScriptBrain, TableBrain
from cosim.experiment.usercode import load_module


@dataclass(frozen=True)
class Tables:
    """The tables of an experiment as they were read from ``file``, after the settings ``overridden``.

    Paths in them are relative to ``folder``, the experiment's.
    """

    content: dict[str, Any]
    file: Path
    folder: Path
    overridden: Sequence[str]

    def origin(self, key: str) -> str:
        """Where the value of ``key`` came from: a --set of it, of a table around it or of a key in it, or the file."""
        for each in self.overridden:
            if f"{key}.".startswith(f"{each}.") or each.startswith(f"{key}."):
                return f"--set {each}"
        return str(self.file)

    def refusal(self, key: str, value: Any, problem: str) -> ConfigurationError:
        """The error for a value, with where it came from."""
        return ConfigurationError(f"{self.origin(key)}: {key} = {value!r}: {problem}")

    def part(self, name: str) -> dict[str, Any]:
        """The table called ``name``."""
        if name not in self.content:
            raise ConfigurationError(f"{self.file}: {name}: missing; it must be given")
        if not isinstance(self.content[name], dict):
            raise self.refusal(name, self.content[name], "must be a table")
        return self.content[name]


def find_brain(tables: Tables) -> TableBrain | ScriptBrain:
    """What ``[brain]`` names: the tables of a model or a script. Raises ConfigurationError."""
    table, base = tables.part("brain"), tables.folder
    script = table.get("script")
    if script is None:
        brain = TableBrain(load_module(_model_file(tables, "brain", "network.py")))
        brain.check()
        return brain
    if "model" in table:
        problem = f"but there is also brain.model = {table['model']!r}; give one of both"
        raise tables.refusal("brain.script", script, problem)
    if not (isinstance(script, str) and search.is_file(base / script)):
        raise tables.refusal("brain.script", script, f"no such file {base / str(script)}")
    return ScriptBrain(base / script)


def find_body(tables: Tables) -> tuple[Description, Path | None]:
    """The description of the body that ``[body]`` names, and its file; of no body without that table.

    Raises ConfigurationError.
    """
    if "body" not in tables.content:
        return NoBody(), None
    file = _model_file(tables, "body", "body.toml")
    try:
        return kinds.load(file), file
    except ValueError as error:
        raise tables.refusal("body.model", tables.part("body")["model"], str(error)) from None


def _model_file(tables: Tables, part: str, file_name: str) -> Path:
    name = tables.part(part).get("model")
    if not isinstance(name, str):
        raise tables.refusal(f"{part}.model", name, "must name a folder")
    try:
        return search.find(name, file_name, tables.folder) / file_name
    except LookupError as error:
        raise tables.refusal(f"{part}.model", name, f"there is no {file_name} in such a folder; {error}") from None
