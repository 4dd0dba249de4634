# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a run that goes on keeps its old and its new results. Body rank only.

NEST starts again from the beginning, so for a long time the new results hold less than the old ones. They are
therefore written to ``RUN/resumed``, while ``RUN`` stays as it is. When they hold more, they take its place,
and the old ones go to ``RUN/earlier-1`` (2, ...): whenever the job ends, ``RUN`` is the whole run as far as
it ever got, and nothing that was recorded is deleted.
"""

from __future__ import annotations

import re
from pathlib import Path

from cosim.record.folder import RunFolder

RESUMED, EARLIER = "resumed", "earlier-"


def attempt(run: RunFolder) -> RunFolder:
    """Where the new results are written."""
    return RunFolder(run.path / RESUMED)


def take_place(run: RunFolder) -> Path:
    """The new results take the place of the old ones; returns where these are now.

    ``run.h5`` is moved last either time: see `mend`.
    """
    latest = max(map(_number, run.path.glob(f"{EARLIER}*")), default=0)
    earlier = run.path / f"{EARLIER}{latest + 1}"
    earlier.mkdir()
    _move(run, run.path, earlier)
    _move(run, attempt(run).path, run.path)
    attempt(run).path.rmdir()
    return earlier


def mend(run: RunFolder) -> None:
    """End a `take_place` during which the job was killed, or undo it."""
    earlier = sorted(filter(_number, run.path.glob(f"{EARLIER}*")), key=_number)
    if not earlier:
        return
    if not run.run_file.exists():
        _move(run, attempt(run).path, run.path)
        attempt(run).path.rmdir()
    elif not (earlier[-1] / run.run_file.name).exists():
        _move(run, earlier[-1], run.path)
        earlier[-1].rmdir()


def _number(path: Path) -> int:
    """Of earlier results; 0 for a folder that somebody else called so, such as ``earlier-backup``."""
    match = re.fullmatch(rf"{EARLIER}([1-9][0-9]*)", path.name)
    return int(match[1]) if match else 0


def _move(run: RunFolder, source: Path, target: Path) -> None:
    entries = [path for path in source.iterdir() if not path.name.startswith((RESUMED, EARLIER))]
    for path in sorted(entries, key=lambda path: path.name == run.run_file.name):
        path.rename(target / path.name)
