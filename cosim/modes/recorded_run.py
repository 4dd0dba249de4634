# SPDX-License-Identifier: GPL-2.0-or-later
"""A run that has ended, as another one goes along it: what it was, how far it got, what has changed since."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cosim
from cosim.control.commands.registry import parse
from cosim.engines.nest.nestlink import find_nest
from cosim.errors import CommandError, ConfigurationError
from cosim.experiment.config import Clock, Experiment, assemble, read_toml
from cosim.modes import recorded_code, recover
from cosim.record.commands import Obeyed
from cosim.record.folder import RunFolder
from cosim.record.provenance import files
from cosim.results.run_data import RunData


@dataclass(frozen=True)
class RecordedRun:
    """What is known of a run in ``folder`` without reading its series; ``tables`` are its configuration."""

    folder: RunFolder
    steps: int
    tables: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path | str) -> RecordedRun:
        """The run in a results folder; of one that was killed, results are made first. Body rank.

        Raises:
            ConfigurationError: it is none, it goes on, has no whole step, or its configuration or commands were edited.
        """
        data = RunData(Path(path).resolve())
        make_results(data.folder)
        if "files" not in data.provenance:
            raise ConfigurationError(f"{path}: made by an older cosim, which did not record where its experiment was")
        provenance, tables = data.provenance, read_toml(data.folder.config_file)
        changed = sorted(_changed(_configuration(provenance), tables))
        if changed:
            raise ConfigurationError(
                f"{data.folder.config_file}: {changed[0]} was changed since the run; it must stay what it was "
                f"({data.folder.run_file.name} has it, too)"
            )
        _check_commands(data)
        return cls(data.folder, data.summary["steps"], tables, provenance)

    @property
    def data(self) -> RunData:
        """What it recorded."""
        return RunData(self.folder.path)

    @property
    def commands(self) -> list[Obeyed]:
        """What steering did to it."""
        return self.data.commands

    @property
    def clock(self) -> Clock:
        """All clocks of the run."""
        return Clock.model_validate(self.tables["clock"])

    @property
    def sources(self) -> list[str]:
        """Names of the spike sources."""
        return [source["name"] for source in self.tables.get("sources", ())]

    def experiment(self, moved_to: str | None, overrides: tuple[str, ...]) -> Experiment:
        """The experiment as it ran, with ``overrides``; its folder is where it was, or has ``moved_to``.

        Raises:
            ConfigurationError: all problems together.
        """
        folder = self._experiment_folder(moved_to)
        functions = recorded_code.transfer_functions(folder)
        tables = deepcopy({**self.tables})
        return assemble(folder, self.folder.config_file, tables, functions, overrides, admit=recorded_code.admit)

    def brain_alone(self, moved_to: str | None, overrides: tuple[str, ...]) -> Experiment:
        """The same without body and transfer functions, for as many steps as were recorded."""
        tables = deepcopy({**self.tables})
        for name in ("body", "protocol"):
            tables.pop(name, None)
        tables["clock"]["steps"] = self.steps
        functions = ModuleType("no_transfer_functions")
        folder = self._experiment_folder(moved_to)
        return assemble(folder, self.folder.config_file, tables, functions, overrides, admit=recorded_code.admit)

    def changes(self, experiment: Experiment) -> Iterator[str]:
        """What is not as it was, one line each; nothing of what ``experiment`` does without."""
        recorded = json.loads(self.provenance["files"])
        for part, now in files(experiment).items():
            then = recorded.get(part, {})
            for name in sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name)):
                how = "is new" if name not in then else "is gone" if name not in now else "has changed"
                yield f"{name} of the {part} {how}"
        for name, version in (("cosim", cosim.__version__), ("nest", str(find_nest()))):
            if self.provenance[f"version_{name}"] != version:
                yield f"{name} was {self.provenance[f'version_{name}']} and is {version}"

    def _experiment_folder(self, moved_to: str | None) -> Path:
        try:
            return recorded_code.experiment_folder(self.provenance["experiment"], moved_to)
        except ConfigurationError as error:
            again = "cosim run EXPERIMENT --resume RUN or --replay RUN"
            hint = "" if moved_to else f"; if it has moved, name it, too: {again}"
            raise ConfigurationError(f"{error}{hint}") from None


def make_results(folder: RunFolder) -> None:
    """Make results of a run that was killed.

    Raises:
        ConfigurationError: it is no run, it goes on, or it has no whole step.
    """
    if folder.shard_folder.is_dir() or not folder.summary_file.is_file():
        recover.main(str(folder.path), out=None, force=False)
    if not (folder.summary_file.is_file() and RunData(folder.path).summary["steps"]):
        raise ConfigurationError(f"{folder.path}: it ended before its first step was done; start it again")


def _check_commands(data: RunData) -> None:
    """Raise ConfigurationError for a command that this cosim cannot obey again."""
    for each in data.commands:
        try:
            parse(each.what)
        except CommandError as error:
            where = f"{data.folder.run_file}: command after {each.step} steps"
            raise ConfigurationError(f"{where}: {error}; it cannot be obeyed again") from None


def _configuration(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The effective configuration as JSON, or as TOML of a run that an older cosim made."""
    text = provenance["configuration"]
    return json.loads(text) if text.startswith("{") else tomllib.loads(text)


def _changed(then: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Keys, such as ``brain.patch_mm``, of which the values differ."""
    for key in then.keys() | now.keys():
        one, other = then.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _changed(one, other, f"{prefix}{key}.")
        elif one != other:
            yield f"{prefix}{key}"
