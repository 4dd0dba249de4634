# SPDX-License-Identifier: GPL-2.0-or-later
"""A steered run kept for later, while it goes on or when it has ended: as an experiment that begins as it is now, or as
a script that does the same to it again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import tomli_w

from cosim.errors import ConfigurationError
from cosim.experiment.config import find_experiment, read_toml
from cosim.experiment.usercode import load_transfer_functions
from cosim.record.commands import Obeyed
from cosim.results.flatten import flatten
from cosim.results.run_data import RunData, load
from cosim.transfer.mark import mark_of
from cosim.transfer.module import marked
from cosim.transfer.text import EVERY_STEP, Definition, ModuleText

EXPERIMENT, TRANSFER = "experiment.toml", "transfer.py"
# What says only when the run went on: the script goes on to where something was done.
WHEN = ("pause", "go", "step", "run_until", "stop", "drive", "pace")


def as_experiment(run: Path, folder: Path) -> None:
    """Write the experiment of a run into a new ``folder``, with transfer functions and protocol as they are by now.

    Raises:
        ConfigurationError: the folder is there already, or that of the experiment is not there any more.
    """
    data = _load(run, folder)
    source = _experiment_folder(data)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__", "results"))
    (folder / EXPERIMENT).write_text(tomli_w.dumps(_configuration(data)))
    if (source / TRANSFER).exists():
        (folder / TRANSFER).write_text(_functions(data, source / TRANSFER))


def as_script(run: Path, file: Path) -> None:
    """Write a Python file that starts the experiment of a run and does to it what was done.

    Raises:
        ConfigurationError: the file is there already, or the experiment is not there any more.
    """
    data = _load(run, file)
    started = read_toml(_experiment_folder(data) / EXPERIMENT)
    file.write_text("\n".join(_script(data, started)) + "\n")


def _load(run: Path, target: Path) -> RunData:
    if target.exists():
        raise ConfigurationError(f"{target}: already there; must be new")
    return load(run)


def _experiment_folder(data: RunData) -> Path:
    return find_experiment(str(data.provenance["experiment"]))


def _configuration(data: RunData) -> dict[str, Any]:
    """The one with which it began, with the protocol as commands have changed it."""
    sent = (each.what for each in data.commands)
    changed = {what["key"]: what["value"] for what in sent if what["command"] == "set_protocol"}
    protocol = {**data.config.get("protocol", {}), **changed}
    return data.config | ({"protocol": protocol} if protocol else {})


def _functions(data: RunData, file: Path) -> str:
    """The text of transfer.py as commands have changed it."""
    changes = [each.what for each in data.commands if each.what["command"] == "tf"]
    return edited_text(load_transfer_functions(file), changes) if changes else file.read_text()


def edited_text(module: ModuleType, changes: Iterable[Mapping[str, Any]]) -> str:
    """The text of the ``module`` of transfer functions after the commands ``changes``, as a run would have it."""
    text, off = ModuleText(module), set[str]()
    marks = {name: mark_of(function) for name, function in marked(module).items()}
    for change in changes:
        action, name = change["action"], change.get("name", "")
        if action in ("add", "edit"):
            definition = Definition.of(change["text"], marks.get(name) or EVERY_STEP)
            getattr(text, action)(definition.name, definition.source)
        elif action == "remove":
            text.remove(name)
        (off.add if action == "disable" else off.discard)(name)
    return text.text(off)


def _script(data: RunData, started: Mapping[str, Any]) -> Iterator[str]:
    yield '"""What was done to a run, to be done again."""'
    yield ""
    yield "import cosim"
    yield ""
    yield "settings = {"
    yield from (f"    {key!r}: {value!r}," for key, value in _changed(started, data.config))
    yield "}"
    ranks = int(data.provenance["brain_ranks"])
    yield f"with cosim.start({str(_experiment_folder(data))!r}, ranks={ranks}, set=settings) as run:"
    step = 0
    for obeyed in data.commands:
        if obeyed.what["command"] in WHEN:
            continue
        if obeyed.step > step:
            yield f"    run.step({obeyed.step - step})"
            step = obeyed.step
        yield f"    {_call(obeyed)}"
    done = len(data.exchange_time_ms)
    yield from [f"    run.step({done - step})"] if done > step else []
    yield "    results = run.finish()"


def _changed(started: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Values that the experiment's own file does not have."""
    before, missing = dict(flatten(started)), object()
    yield from ((key, value) for key, value in flatten(config) if before.get(key, missing) != value)


def _call(obeyed: Obeyed) -> str:
    """A line of Python for a command."""
    what = obeyed.what
    match what["command"]:
        case "set_port" if not what.get("hold"):
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
        case "tf":
            argument = repr(what["text"]) if what.get("text") else "silence=True" if what.get("silence") else ""
            return f"run.transfer[{what['name']!r}].{what['action']}({argument})"
        case "mark":
            return f"run.mark({what['text']!r})"
        case "reset" if what["what"] != "all":
            return f"run.reset({what['what']!r})"
    return f"run.send({dict(what)!r})"
