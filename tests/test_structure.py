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

# What each room may import of cosim besides itself. All of it stands above the room here: rooms do not go in circles.
IMPORTS = {
    "errors": "",
    "timegrid": "",
    "table": "",
    "cache": "",
    "clone": "",
    "network": "timegrid",
    "body": "errors timegrid",
    "devices": "errors network table timegrid",
    "parallel": "devices errors",
    "experiment": "body devices errors network table timegrid",
    "engines": "cache clone devices errors experiment network parallel",
    "record": "body devices engines errors experiment network parallel",
    "transfer": "errors experiment record timegrid",
    "control": "body devices engines errors experiment parallel record table timegrid transfer",
    "results": "body devices engines errors experiment record",
    "client": "body control devices engines errors experiment network parallel record results",
    "gym": "client errors",
    "show": "body devices engines errors experiment record results",
    "finalize": "body engines errors experiment network record results show",
    "loop": "body control engines errors parallel record show transfer",
    "modes": "body control devices engines errors experiment finalize network parallel record results transfer",
    "plan": "body devices engines errors experiment modes network parallel record transfer",
    "build": "body control devices engines errors loop parallel plan record show transfer",
    "program": "build engines errors experiment finalize loop modes network parallel plan record timegrid",
    "tools": "body cache clone devices engines errors experiment network parallel plan",
    "bench": "body build client clone control devices engines errors experiment loop modes network parallel plan "
    "program record results timegrid",
    "cli": "bench body cache client errors experiment modes results show tools",
    "__main__": "cli",
}
ALLOWED = {name: allowed.split() for name, allowed in IMPORTS.items()}
# Rooms that only these may import: nothing below them knows that they are there.
ONLY_FOR = {
    "bench": ("cli",),
    "cli": ("__main__",),
    "build": ("bench", "program"),
    "program": ("bench",),
    "show": ("bench", "build", "cli", "finalize", "loop"),
    "tools": ("bench", "cli"),
}
# Imports that break a rule, and are to go.
EXCEPTIONS = {("cosim.modes.launch", "cosim.program")}
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
    """All imports from one room into another, but for the known exceptions; the package itself is none."""
    for module, names in imports().items():
        if module == "cosim":
            continue
        ways = ((module, name) for name in sorted(names) if room(name) not in ("cosim", room(module)))
        yield from (way for way in ways if way not in EXCEPTIONS)


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
        if room(other) == name and room(module) not in ONLY_FOR[name]
    ]
    assert not offending, "\n".join(offending)


def test_each_room_stands_below_what_it_imports():
    order = [*ALLOWED]
    offending = [
        f"{name}: {each}" for name in order for each in ALLOWED[name] if each not in order[: order.index(name)]
    ]
    assert not offending, "\n".join(offending)


def test_there_are_rooms_and_exceptions_of_these_names():
    rooms = {room(module) for module in MODULES} - {"cosim"}
    assert set(ALLOWED) == rooms and set(ONLY_FOR) <= rooms
    assert {(one, other) for one in ALLOWED for other in ALLOWED[one]} == {
        (room(one), room(two)) for one, two in crossings()
    }
    assert all(other in imports().get(module, ()) for module, other in EXCEPTIONS), "it is mended: take it off the list"


def test_one_module_chooses_the_engine():
    """What goes on in a step is written for any brain that can be stepped."""
    choosing = {name for name in MODULES if "cosim.engines.nest.brain" in imports()[name] and room(name) != "bench"}
    assert choosing == {"cosim.build"}
    assert not [name for name in imports()["cosim.loop"] if name.startswith("cosim.engines.nest")]


def test_a_public_class_has_one_meaning():
    places = defaultdict(list)
    for module, file in MODULES.items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module)
    twins = [f"{name}: {', '.join(found)}" for name, found in places.items() if len(found) > 1]
    assert not twins, "\n".join(twins)
