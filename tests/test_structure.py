# SPDX-License-Identifier: GPL-2.0-or-later
"""The rooms of the package: who may import whom, no circles, and one meaning for each public class."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from conftest import REPOSITORY

# What a room may import of cosim besides itself; rooms that are not listed may import what they like.
ALLOWED = {
    "errors": (),
    "timegrid": (),
    "table": (),
    "network": ("errors", "table", "timegrid"),
    "body": ("errors", "table", "timegrid"),
    "parallel": ("errors",),
    "devices": ("errors", "experiment", "network", "table", "timegrid"),
    "experiment": ("body", "devices", "errors", "network", "table", "timegrid", "transfer"),
}
# Rooms that only these may import: nothing below them knows that they are there.
ONLY_FOR = {
    "bench": ("cli",),
    "cli": (),
    "run": ("bench", "modes"),
    "show": ("bench", "cli", "finalize", "loop", "run"),
    "tools": ("bench", "cli", "engines"),
}
# Imports that break a rule, and are to go.
EXCEPTIONS = {
    ("cosim.modes.launch", "cosim.bench.launch"),
}
MODULE_NAME = re.compile(r"(cosim(?:\.\w+)+)(?::\w+)?")


def module_name(file: Path) -> str:
    parts = file.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted((REPOSITORY / "cosim").rglob("*.py"))}


@cache
def imports() -> dict[str, set[str]]:
    """What each module imports of cosim, wherever it does: in functions and for types only, too."""
    return {name: set(imported(ast.parse(file.read_text()))) - {name} for name, file in MODULES.items()}


def imported(tree: ast.Module) -> Iterator[str]:
    """The modules of cosim that a module names; registries name theirs by strings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports have full names"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [name if name in MODULES else str(node.module) for name in inner]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            match = MODULE_NAME.fullmatch(node.value)
            found = [match[1]] if match else []
        else:
            continue
        yield from (name for name in found if name in MODULES)


def room(module: str) -> str:
    """The part of cosim that a module belongs to; the package itself is ``cosim``."""
    return module.split(".")[1] if "." in module else module


def crossings() -> Iterator[tuple[str, str]]:
    """All imports from one room into another."""
    for module, names in imports().items():
        yield from ((module, name) for name in sorted(names) if room(module) != room(name))


def circle_from(start: str) -> list[str]:
    """A shortest way of imports from a module back to itself; empty without any."""
    came_from, ahead = {}, [start]
    for module in ahead:
        for name in sorted(imports()[module]):
            if name not in came_from:
                came_from[name] = module
                ahead.append(name)
    way = [start]
    while start in came_from and (len(way) == 1 or way[-1] != start):
        way.append(came_from[way[-1]])
    return way[::-1] if len(way) > 1 else []


def test_no_module_imports_itself_through_others():
    circles = {tuple(sorted(set(way))): way for module in MODULES if (way := circle_from(module))}
    assert not circles, "\n".join(" -> ".join(way) for way in circles.values())


@pytest.mark.parametrize("name", ALLOWED)
def test_a_room_imports_only_what_is_below_it(name):
    offending = [
        f"{module} imports {other}"
        for module, other in crossings()
        if room(module) == name and room(other) not in ALLOWED[name]
    ]
    assert not offending, "\n".join(offending)


@pytest.mark.parametrize("name", ONLY_FOR)
def test_a_room_is_imported_only_from_above(name):
    offending = [
        f"{module} imports {other}"
        for module, other in crossings()
        if room(other) == name and room(module) not in ONLY_FOR[name] and (module, other) not in EXCEPTIONS
    ]
    assert not offending, "\n".join(offending)


def test_there_are_rooms_and_exceptions_of_these_names():
    rooms = {room(module) for module in MODULES}
    assert set(ALLOWED) | set(ONLY_FOR) <= rooms
    assert all(other in imports()[module] for module, other in EXCEPTIONS), "it is mended: take it off the list"


def test_a_public_class_has_one_meaning():
    places = defaultdict(list)
    for module, file in MODULES.items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module)
    twins = [f"{name}: {', '.join(found)}" for name, found in places.items() if len(found) > 1]
    assert not twins, "\n".join(twins)
