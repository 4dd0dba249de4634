# SPDX-License-Identifier: GPL-2.0-or-later
"""What a loop of a user's own wrote (`cosim.control.drive`): in a shard while the run goes on, ``/drive`` at its end.

``/drive/step`` are the numbers of steps done before each time, ``/drive/values`` all that it could write, also where it
left it as it was; the attribute ``columns`` says what each value is. ``/drive/in_round`` is 1 where it wrote after the
commands between two steps, as it does when it begins, and 0 where it wrote after the transfer functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from cosim.record.series import Series, SeriesFile

GROUP, SHARD = "drive", "drive.h5"
STEP, IN_ROUND, VALUES = f"{GROUP}/step", f"{GROUP}/in_round", f"{GROUP}/values"


class Written(NamedTuple):
    """What a loop wrote between two steps."""

    in_round: bool
    values: np.ndarray


class DriveFile:
    """The shard, which is there as soon as there is something in it. Body rank."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: SeriesFile | None = None

    def append(self, step: int, written: Written, columns: Sequence[str]) -> None:
        """Record what was written, (columns,), after ``step`` steps."""
        if self._file is None:
            rows, number = Series(written.values.shape, attributes={"columns": list(columns)}), Series(dtype="i8")
            self._file = SeriesFile(self._path, {STEP: number, IN_ROUND: number, VALUES: rows})
        self._file.append(STEP, np.array([step]))
        self._file.append(IN_ROUND, np.array([written.in_round]))
        self._file.append(VALUES, written.values[np.newaxis])

    def flush(self) -> None:
        """Write everything to disk."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Write everything to disk; a second call does nothing."""
        if self._file is not None:
            self._file.close()


def merge(shard: Path, run: h5py.File, steps: int) -> None:
    """Add the group of the first ``steps`` steps to ``run.h5``, if there is something to add."""
    if not shard.exists():
        return
    with h5py.File(shard, "r", swmr=True) as file:
        rows = min(len(file[name]) for name in (STEP, IN_ROUND, VALUES))
        kept = np.count_nonzero(file[STEP][:rows] <= steps)
        for name in (STEP, IN_ROUND, VALUES):
            run.create_dataset(name, data=file[name][:kept])
        run[VALUES].attrs["columns"] = file[VALUES].attrs["columns"]


def read(run_file: Path) -> dict[int, Written]:
    """What was written, by step; empty if there was no such loop."""
    with h5py.File(run_file, "r") as file:
        if GROUP not in file:
            return {}
        written = map(Written, file[IN_ROUND][:].astype(bool).tolist(), file[VALUES][:])
        return dict(zip(file[STEP][:].tolist(), written, strict=True))
