# SPDX-License-Identifier: GPL-2.0-or-later
"""``--set key=value``: how it stands on command lines, and what it changes in the tables of an experiment."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from typing import Any

from cosim.errors import ConfigurationError


def add_experiment(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    """The experiment and its settings, as all commands take them: ``experiment`` and ``overrides``."""
    parser.add_argument("experiment", nargs=nargs, help="name of a folder in models/, or the path of one")
    add_overrides(parser)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """``--set``, as ``overrides``."""
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change a value of experiment.toml, such as brain.patch_mm=0.2; may be given several times",
    )


def override(tables: dict[str, Any], overrides: Sequence[str]) -> list[str]:
    """Set each ``key=value`` in ``tables``; return the keys. Values are read as TOML, else as text.

    Raises:
        ConfigurationError: no ``key=value``, or a key below what is no table.
    """
    keys = []
    for setting in overrides:
        key, equals, text = (part.strip() for part in setting.partition("="))
        path = key.split(".")
        if not equals or not all(path):
            raise ConfigurationError(f"--set {setting}: must be key=value, such as brain.patch_mm=0.2")
        try:
            _set(tables, path, 0, _toml_value(text))
        except LookupError as error:
            raise ConfigurationError(f"--set {setting}: {error.args[0]}") from None
        keys.append(key)
    return keys


def joined(overrides: Sequence[str], later: Sequence[str]) -> tuple[str, ...]:
    """Both, one after the other, without those of which the key comes again: the last one counts."""
    settings = (*overrides, *later)
    keys = [each.partition("=")[0].strip() for each in settings]
    return tuple(each for place, each in enumerate(settings) if keys[place] not in keys[place + 1 :])


def _set(container: Any, path: Sequence[str], depth: int, value: Any) -> None:
    """Set ``path[depth:]`` in ``container``, which stands at ``path[:depth]``; missing tables are made."""
    place = _place(container, path, depth)
    if depth == len(path) - 1:
        container[place] = value
        return
    if isinstance(container, dict):
        container.setdefault(place, {})
    _set(container[place], path, depth + 1, value)


def _place(container: Any, path: Sequence[str], depth: int) -> str | int:
    """A key of a table, or the place of an entry in an array of tables: ``0`` in ``sources.0``."""
    if isinstance(container, dict):
        return path[depth]
    if not isinstance(container, list):
        raise LookupError(f"there is no table {'.'.join(path[:depth])}")
    places = [str(number) for number in range(len(container))]
    if path[depth] not in places:
        array, there_are = ".".join(path[:depth]), ", ".join(places) or "no entries"
        raise LookupError(f"there is no table {array}.{path[depth]}; {array} has {there_are}")
    return int(path[depth])


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # also of a thousand brackets
        return text
