# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim models``: the experiments, brains and bodies that are found by name from here, and where they are."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

from cosim.experiment.search import folders

# What a folder is by the file that it holds, and the key in it that says more.
KINDS = {"experiment.toml": ("experiment", "title"), "network.py": ("brain", ""), "body.toml": ("body", "name")}


def main() -> int:
    """Print all of them, one a line below the folder in which they are."""
    taken: set[tuple[str, str]] = set()  # a name that was found in a folder before is looked for no further
    for folder in folders():
        lines = [line for line in _lines(folder) if line[:2] not in taken]
        taken.update(line[:2] for line in lines)
        if lines:
            print(folder)
        for name, kind, title in lines:
            print(f"  {name:20} {kind:12} {title}")
    return 0


def _lines(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Name, kind and title of each, results of runs left out."""
    for file_name, (kind, key) in KINDS.items():
        for file in sorted(folder.glob(f"*/{file_name}")):
            if not file.with_name("run.h5").exists():
                yield file.parent.name, kind, _title(file, key)


def _title(file: Path, key: str) -> str:
    """The value of ``key``, or the first line of a Python file's description; empty where nothing can be read."""
    try:
        if key:
            return str(tomllib.loads(file.read_text()).get(key, ""))
        return (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n")[0]
    except (OSError, ValueError, SyntaxError):
        return ""
