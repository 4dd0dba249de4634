# SPDX-License-Identifier: GPL-2.0-or-later
"""A report as text."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from cosim.show.report.tables import ReportTable


def show(tables: Iterable[ReportTable]) -> None:
    """Print the tables, one below the other."""
    console = Console(markup=False, highlight=False)
    for table in tables:
        console.print(Text(f"\n{table.title}", style="bold"))
        console.print(_shown(table))
        if table.note:
            console.print(table.note)


def _shown(table: ReportTable) -> RichTable:
    """The first column is for names, the others hold numbers or what stands in their place."""
    shown = RichTable(box=None, pad_edge=False)
    shown.add_column("", overflow="fold")
    for column in table.columns:
        shown.add_column(column, justify="right", overflow="fold")
    for row in table.rows:
        shown.add_row(*row)
    return shown
