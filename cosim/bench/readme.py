# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim bench readme``: results of benchmarks as a section of a page, its numbers those of the files."""

from __future__ import annotations

import argparse
import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosim.errors import ConfigurationError

BEGIN = "<!-- made by `cosim bench readme`: begin -->"
END = "<!-- made by `cosim bench readme`: end -->"
# In the order in which they are told.
TITLES = {
    "coupling": "The loop against one uninterrupted `Run` of NEST",
    "rest": "The loop against REST calls to NEST Server",
    "scaling": "Whole runs",
    "build": "Building a network",
    "record": "Recording spikes",
    "body": "The body",
    "model": "A model of times, fitted to runs",
}


def main(options: argparse.Namespace) -> int:
    """Print the section, or put it between its marks in a file; returns the exit code.

    Raises:
        ConfigurationError: no results, or no marks in the file.
    """
    relative_to = options.into.parent if options.into else Path()
    text = section(options.out, Path(os.path.relpath(options.out, relative_to)))
    if options.into is None:
        print(text)
        return 0
    options.into.write_text(insert(_read(options.into), text, options.into))
    return 0


def section(folder: Path, link: Path) -> str:
    """Markdown of all results in ``folder``; figures are linked below ``link``.

    Raises:
        ConfigurationError: there are none.
    """
    results = {path: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    if not results:
        raise ConfigurationError(f"{folder}: no results; must be the folder of `cosim bench ... --out`")
    parts = [f"Medians (lowest-highest) on {machine}." for machine in _machines(results.values())]
    for name, title in TITLES.items():
        of_name = {path: each for path, each in results.items() if each["benchmark"] == name}
        if of_name:
            parts += [f"### {title}", *_tables(name, of_name, link)]
    return "\n\n".join(parts)


def insert(page: str, text: str, path: Path) -> str:
    """``page`` with ``text`` between the marks.

    Raises:
        ConfigurationError: they are not there, each once, in this order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ConfigurationError(f"{path}: no place for the results: must have the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigurationError(f"--into {path}: {error.strerror}; must be a file") from None


def _machines(results: Any) -> list[str]:
    """Every machine once."""
    machines = (each["machine"] for each in results)
    return list(dict.fromkeys(_machine(each) for each in machines))


def _machine(machine: dict[str, Any]) -> str:
    versions = machine["versions"]
    programs = f"NEST {versions['nest']}, {versions['mpi']}, Python {versions['python']}"
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']:g} GB ({programs})"


def _tables(name: str, results: dict[Path, dict[str, Any]], link: Path) -> Iterator[str]:
    """Table, command and figure of each result of a benchmark."""
    benchmark = importlib.import_module(f"cosim.bench.{name}")
    for path, result in results.items():
        yield _table(benchmark.COLUMNS, benchmark.rows(result))
        machine = result["machine"]
        load = machine["load_average"][0]
        made = f"repetitions: {result['repetitions']}, {machine['date'][:10]}, load {load:g}"
        yield f"`{result['command']}` ({made}; [figure]({link / path.with_suffix('.png').name}))"


def _table(columns: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [columns, ["---"] + ["--:"] * (len(columns) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
