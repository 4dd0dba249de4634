# SPDX-License-Identifier: GPL-2.0-or-later
"""A report as one HTML page that needs nothing besides itself: no scripts, no links, pictures inside.

Whatever comes from files is escaped, and the page itself forbids browsers to run or fetch anything.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import cosim
from cosim.record.folder import RunFolder
from cosim.show.report.figures import Figure, figures
from cosim.show.report.tables import ReportTable, tables

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; }
body { max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.85rem; }
th, td { padding: 0.15rem 0.7rem; text-align: right; vertical-align: top; overflow-wrap: anywhere; }
th:first-child, td:first-child { text-align: left; overflow-wrap: normal; }
thead th { border-bottom: 1px solid #888; } tbody tr:nth-child(even) { background: #f6f6f6; }
tr.differs td { font-weight: 600; } figure { margin: 1rem 0; } img { max-width: 100%; }
figcaption, .note { color: #555; font-size: 0.85rem; }
pre { background: #f6f6f6; padding: 1rem; overflow-x: auto; }
"""


def render(runs: Sequence[dict[str, Any]]) -> str:
    """The page on some runs, as ``cosim.show.report.report`` describes them."""
    title = " / ".join(dict.fromkeys(run["title"] or run["experiment"] for run in runs))
    first, *others = tables(list(runs))
    parts = [
        f"<h1>{escape(title)}</h1>",
        _table(first, marked=len(runs) > 1),
        *(_figure(each) for each in figures(runs)),
        *_pictures(runs),
        *(_table(each) for each in others),
        "<h2>Configuration</h2>",
        *(_configuration(number, run) for number, run in enumerate(runs, 1)),
        f'<p class="note">Written by cosim {escape(cosim.__version__)} from the files of the runs.</p>',
    ]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    body = "\n".join(parts)
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n<body>\n{body}\n</body>\n</html>\n'


def _table(table: ReportTable, marked: bool = False) -> str:
    """With ``marked``, rows in which the runs differ stand out."""
    head = _cells("th", ["", *table.columns])
    rows = "\n".join(_row(row, marked and len(set(row[1:])) > 1) for row in table.rows)
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    inner = f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"
    return f'<h2>{escape(table.title)}</h2>\n<div class="wide">{inner}</div>{note}'


def _row(row: Sequence[str], differs: bool) -> str:
    return f"<tr{' class=differs' if differs else ''}>{_cells('td', row)}</tr>"


def _cells(kind: str, texts: Iterable[str]) -> str:
    return "".join(f"<{kind}>{escape(text)}</{kind}>" for text in texts)


def _figure(figure: Figure) -> str:
    title, caption = escape(figure.title), escape(figure.caption)
    image = f'<img alt="{title}" src="data:image/png;base64,{base64.b64encode(figure.png).decode()}">'
    return f"<h2>{title}</h2>\n<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _pictures(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """``body.png`` of each run that has one."""
    for number, run in enumerate(runs, 1):
        file = Path(run["folder"]) / "body.png"
        content = file.read_bytes() if file.is_file() else b""
        if content.startswith(PNG_SIGNATURE):
            yield _figure(Figure(f"The body in run {number}" if len(runs) > 1 else "The body", "", content))


def _configuration(number: int, run: dict[str, Any]) -> str:
    text = RunFolder(Path(run["folder"])).config_file.read_text()
    summary = escape(f"run {number}: {run['folder']}")
    return f"<details><summary>{summary}</summary><pre>{escape(text)}</pre></details>"
