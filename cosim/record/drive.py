# SPDX-License-Identifier: GPL-2.0-or-later
"""What a loop of a user's own wrote (`cosim.control.drive`): in a shard while the run goes on, ``/drive`` at its end.

``/drive/step`` are the numbers of steps done before each time, ``/drive/values`` all that it could write, also where it
left it as it was; the attribute ``columns`` says what each value is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from cosim.record.series import Series, SeriesFile

GROUP = "drive"
STEP, VALUES = f"{GROUP}/step", f"{GROUP}/values"


class DriveFile:
    """The shard, which is there as soon as there is something in it. Body rank."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, None

    def append(self, step: int, values: np.ndarray, columns: Sequence[str]) -> None:
        """Record ``values`` (columns,) of after ``step`` steps."""
        if self._file is None:
            rows = Series(values.shape, attributes={"columns": list(columns)})
            self._file = SeriesFile(self._path, {STEP: Series(dtype="i8"), VALUES: rows})
        self._file.append(STEP, np.array([step]))
        self._file.append(VALUES, values[np.newaxis])

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
        rows = min(len(file[STEP]), len(file[VALUES]))
        kept = np.count_nonzero(file[STEP][:rows] <= steps)
        for name in (STEP, VALUES):
            run.create_dataset(name, data=file[name][:kept])
        run[VALUES].attrs["columns"] = file[VALUES].attrs["columns"]


def read(run_file: Path) -> dict[int, np.ndarray]:
    """What was written, by step; empty if there was no such loop."""
    with h5py.File(run_file, "r", swmr=True) as file:
        return dict(zip(file[STEP][:].tolist(), file[VALUES][:], strict=True)) if GROUP in file else {}
