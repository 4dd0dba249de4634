# SPDX-License-Identifier: GPL-2.0-or-later
"""What a benchmark leaves: a JSON file, a figure, and on the screen a table or the same JSON."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from cosim.errors import ConfigurationError
from cosim.record.disk import write_text

Row = Sequence[str]
# What the tables need; in a pipe rich would cut them at 80 columns.
WIDTH = 140


def make_folder(path: Path) -> Path:
    """The folder of the results, made if it is not there.

    Raises:
        ConfigurationError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--out {path}: {error.strerror}; must be a folder that can be written") from None
    return path.resolve()


def publish(
    options: argparse.Namespace,
    machine: dict[str, Any],
    result: dict[str, Any],
    columns: Row,
    rows: Iterable[Row],
    draw: Callable[[dict[str, Any]], Figure],
) -> int:
    """Write ``result`` and its figure below ``--out`` and print it; return the exit code.

    ``rows`` of the table are given as text, their first cell says what is measured.
    """
    document, file = write(options, machine, result)
    figure = draw(document)
    figure.savefig(file.with_suffix(".png"), dpi=110)
    plt.close(figure)
    if options.json:
        print(file.read_text(), end="")
    else:
        _print(file, machine, columns, rows)
    return 0


def write(options: argparse.Namespace, machine: dict[str, Any], result: dict[str, Any]) -> tuple[dict[str, Any], Path]:
    """Write ``result`` alone as JSON below ``--out``; return what is in the file, and its path.

    The file is a whole one at any time: who is killed while writing leaves the one before.
    """
    head = {
        "benchmark": options.benchmark,
        "command": shlex.join(["cosim", *sys.argv[1:]]),
        "repetitions": options.repetitions,
    }
    document = head | result | {"machine": machine}
    file = make_folder(options.out) / f"{options.name or options.benchmark}.json"
    write_text(file, json.dumps(document, indent=2) + "\n")
    return document, file


def draw_bars(axis: Axes, names: Mapping[str, str], spreads: Mapping[str, Mapping[str, float]]) -> None:
    """A bar for the median of each of ``names``, which have labels, and a line from lowest to highest."""
    for place, name in enumerate(names):
        each = spreads[name]
        axis.barh(place, each["median"], color=f"C{place}")
        axis.plot([each["min"], each["max"]], [place, place], color="black")
    axis.set_yticks(range(len(names)), list(names.values()))
    axis.invert_yaxis()


def _print(file: Path, machine: dict[str, Any], columns: Row, rows: Iterable[Row]) -> None:
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(markup=False, highlight=False)
    console.width = max(console.width, WIDTH)
    console.print(table)
    console.print(
        f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_average'][0]:g} at the start; "
        f"medians (lowest to highest)\n{file}, {file.stem}.png",
        style="dim",
        soft_wrap=True,
    )
