# SPDX-License-Identifier: GPL-2.0-or-later
"""A steered run kept for later, while it goes on or when it has ended: as an experiment that begins as it is now, or as
a script that does the same to it again. Nothing of it is executed.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tomli_w

from cosim.errors import ConfigurationError
from cosim.experiment.config import find_experiment, read_toml
from cosim.record.commands import Obeyed
from cosim.record.folder import RunFolder

EXPERIMENT, TRANSFER, PROTOCOL = "experiment.toml", "transfer.py", "protocol"
# What says only when the run went on: the script goes on to where something was done.
WHEN = ("pause", "go", "step", "run_until", "stop", "pace")


class SteeredResults(Protocol):
    """What is taken of a run: attributes of `cosim.results.run_data.RunData`, which says what they are."""

    folder: RunFolder

    @property
    def config(self) -> Mapping[str, Any]: ...

    @property
    def provenance(self) -> Mapping[str, Any]: ...

    @property
    def commands(self) -> Sequence[Obeyed]: ...

    @property
    def exchange_time_ms(self) -> np.ndarray: ...


def as_experiment(run: SteeredResults, folder: Path) -> None:
    """Write the experiment of a run into a new ``folder``, with transfer functions and protocol as they are by now.

    Raises:
        ConfigurationError: the folder is there already, or that of the experiment is not there any more.
    """
    _check_new(folder)
    source = _experiment_folder(run)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__", "results"))
    (folder / EXPERIMENT).write_text(tomli_w.dumps(_configuration(run)))
    if run.folder.transfer_file.exists():
        shutil.copyfile(run.folder.transfer_file, folder / TRANSFER)


def as_script(run: SteeredResults, file: Path) -> None:
    """Write a Python file that starts the experiment of a run and does to it what was done.

    Raises:
        ConfigurationError: the file is there already, the experiment is not there any more, or a loop of a user's own
            took part in the run.
    """
    _check_new(file)
    if any(each.what["command"] == "drive" for each in run.commands):
        raise ConfigurationError(
            f"{run.folder.path}: a loop of another program took part in the run, which a script cannot do again; "
            "cosim run --resume and cosim replay do"
        )
    started = read_toml(_experiment_folder(run) / EXPERIMENT)
    file.write_text("\n".join(_script(run, started)) + "\n")


def _check_new(target: Path) -> None:
    if target.exists():
        raise ConfigurationError(f"{target}: already there; must be new")


def _experiment_folder(run: SteeredResults) -> Path:
    return find_experiment(str(run.provenance["experiment"]))


def _configuration(run: SteeredResults) -> dict[str, Any]:
    """The one with which it began, with the protocol as commands have changed it."""
    protocol = _protocol(run.config.get(PROTOCOL, {}), run.commands)
    return {**run.config} | ({PROTOCOL: protocol} if protocol else {})


def _protocol(values: Mapping[str, Any], commands: Sequence[Obeyed]) -> dict[str, Any]:
    """``values`` after ``commands``; what is held is set again in every step. What is null TOML leaves out."""
    values, held, step = dict(values), dict[str, Any](), 0
    for each in commands:
        what = each.what
        if each.step > step:
            values, step = values | held, each.step
        if what["command"] == "set_protocol":
            values[what["key"]] = what["value"]
        elif what.get("port") == PROTOCOL and what["command"] == "set_port":
            values[what["attribute"]] = what["value"]
            held |= {what["attribute"]: what["value"]} if what.get("hold") else {}
        elif what.get("port") == PROTOCOL and what["command"] == "release_port":
            held.pop(what["attribute"], None)
    return {key: value for key, value in (values | held).items() if value is not None}


def _script(run: SteeredResults, started: Mapping[str, Any]) -> Iterator[str]:
    yield '"""What was done to a run, to be done again."""'
    yield ""
    yield "import cosim"
    yield ""
    yield "settings = {"
    yield from (f"    {key!r}: {_python(value)}," for key, value in _changed(started, run.config))
    yield "}"
    ranks = int(run.provenance["brain_ranks"])
    yield f"with cosim.start({str(_experiment_folder(run))!r}, ranks={ranks}, set=settings) as run:"
    step = 0
    for obeyed in filter(_is_done_again, run.commands):
        if obeyed.step > step:
            yield f"    run.step({obeyed.step - step})"
            step = obeyed.step
        yield f"    {_call(obeyed.what)}"
    done = len(run.exchange_time_ms)
    yield from [f"    run.step({done - step})"] if done > step else []
    yield "    results = run.finish()"


def _is_done_again(obeyed: Obeyed) -> bool:
    """With a reset of all this run ended, and what came after it is another run."""
    what = obeyed.what
    return what["command"] not in WHEN and not (what["command"] == "reset" and what.get("what", "all") == "all")


def _changed(started: Mapping[str, Any], config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Values that the experiment's own file does not have; lists are whole ones."""
    missing = object()
    for key, value in config.items():
        before = started.get(key, missing)
        if isinstance(value, Mapping):
            yield from _changed(before if isinstance(before, Mapping) else {}, value, f"{prefix}{key}.")
        elif value != before:
            yield f"{prefix}{key}", value


def _python(value: Any) -> str:
    """What Python reads as this value of TOML."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    return repr(value)


def _call(what: Mapping[str, Any]) -> str:
    """A line of Python for a command; the general one where there is no other that says all of it."""
    match what["command"]:
        case "set_port" if not what.get("hold") and what["port"] != PROTOCOL:
            return f"run.ports[{what['port']!r}].{what['attribute']} = {what['value']!r}"
        case "set_population":
            values = ", ".join(f"{key}={value!r}" for key, value in what["parameters"].items())
            return f"run.population({what['population']!r}).set({values})"
        case "scale_weights":
            return f"run.scale_weights({what['source']!r}, {what['target']!r}, {what['factor']!r})"
        case "set_protocol":
            return f"run.set_protocol({what['key']}={what['value']!r})"
        case "tf" if what["action"] == "add":
            return f"run.transfer.add({what['text']!r})"
        case "tf" if what.keys() <= {"command", "action", "name", "text", "silence"}:
            argument = repr(what["text"]) if what.get("text") else "silence=True" if what.get("silence") else ""
            return f"run.transfer[{what['name']!r}].{what['action']}({argument})"
        case "mark":
            return f"run.mark({what['text']!r})"
        case "reset":
            return f"run.reset({what['what']!r})"
    return f"run.send({dict(what)!r})"
