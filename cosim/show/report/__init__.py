# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim report``: what one or several runs did, from their result folders alone."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from pathlib import Path

from cosim.errors import ConfigurationError
from cosim.show.report.facts import report
from cosim.show.report.tables import tables
from cosim.show.report.terminal import show

PAGE = "report.html"

__all__ = ["main", "report"]


def main(
    folders: Sequence[str],
    start_ms: float | None = None,
    end_ms: float | None = None,
    json: bool = False,
    html: str | None = None,
) -> int:
    """Print the report on some runs as one JSON object or as tables, side by side, and write a web page.

    The page is ``html``; without it, and unless JSON is asked for, ``report.html`` in the folder of the run,
    or beside that of the first of several.

    Raises:
        ConfigurationError: a folder holds no finished run, the window lies outside of it, or the page
            cannot be written.
    """
    runs = [report(Path(folder), start_ms, end_ms) for folder in folders]
    if json:
        print(json_format.dumps({"runs": runs}, indent=2))
    else:
        show(tables(runs))
    if html or not json:
        page = Path(html) if html else _default_page([Path(folder) for folder in folders])
        _write(page, runs)
        if not json:
            print(f"\npage: {page}")
    return 0


def _default_page(folders: Sequence[Path]) -> Path:
    return (folders[0] if len(folders) == 1 else folders[0].resolve().parent) / PAGE


def _write(page: Path, runs: list[dict]) -> None:
    from cosim.show.report.page import render  # matplotlib takes a second to import

    unfinished = page.with_name(f"{page.name}.unfinished")
    try:
        unfinished.write_text(render(runs), encoding="utf-8")
        unfinished.replace(page)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ConfigurationError(
            f"{page}: cannot be written: {error.strerror}; --html must name a file in a folder that can be written"
        ) from None
