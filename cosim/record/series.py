# SPDX-License-Identifier: GPL-2.0-or-later
"""An HDF5 file that only grows: named datasets to which rows are appended while a run goes on.

The file is written in HDF5's single-writer/multiple-reader mode and flushed about once a second, so another process
can read it at any time with ``h5py.File(path, "r", swmr=True)``, and what was flushed stays readable if the writer is
killed. Rows are collected in memory between flushes: HDF5 calls are too slow to be made for every row of every step.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

FLUSH_INTERVAL_S = 1.0
FLUSH_BYTES = 16 * 2**20
CHUNK_BYTES = 64 * 2**10


@dataclass(frozen=True)
class Series:
    """A dataset to be: the shape of one row (empty for a scalar), its type and attributes such as units.

    With ``columns``, rows have one value for each of these names, and each is stored as a dataset of its own below the
    name of the series.
    """

    shape: tuple[int, ...] = ()
    dtype: str = "f8"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None

    def paths(self, name: str) -> list[str]:
        """Where the datasets of a series of this name lie in the file."""
        return [name] if self.columns is None else [f"{name}/{column}" for column in self.columns]


class SeriesFile:
    """Appends rows to the datasets of one file; nobody else writes to it meanwhile."""

    def __init__(self, path: Path, series: Mapping[str, Series], attributes: Mapping[str, Any] | None = None) -> None:
        self._file = h5py.File(path, "w-", libver=("v110", "latest"))
        self._file.attrs.update(attributes or {})
        self._series = series
        for name, each in series.items():
            for path_in_file in each.paths(name):
                _create(self._file, path_in_file, each)
        self._pending: dict[str, list[np.ndarray]] = {name: [] for name in series}
        self._pending_bytes = 0
        self._file.swmr_mode = True
        self._flushed = time.monotonic()

    def append(self, name: str, rows: np.ndarray) -> None:
        """Append ``rows``, (n, *shape of a row) or (n, number of columns), to the series ``name``; they are copied."""
        self._pending[name].append(np.array(rows))
        self._pending_bytes += self._pending[name][-1].nbytes

    def flush_if_due(self) -> None:
        """Write to disk if the last time is long ago or much has come together."""
        if self._pending_bytes > FLUSH_BYTES or time.monotonic() - self._flushed > FLUSH_INTERVAL_S:
            self.flush()

    def flush(self) -> None:
        """Write everything to disk."""
        for name, blocks in self._pending.items():
            if blocks:
                self._write(name, np.concatenate(blocks))
                blocks.clear()
        self._file.flush()
        self._pending_bytes, self._flushed = 0, time.monotonic()

    def _write(self, name: str, rows: np.ndarray) -> None:
        series = self._series[name]
        parts = [rows] if series.columns is None else rows.T
        for path, part in zip(series.paths(name), parts, strict=True):
            dataset = self._file[path]
            dataset.resize(len(dataset) + len(part), axis=0)
            dataset[len(dataset) - len(part) :] = part

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        if self._file:
            self.flush()
            self._file.close()


def _create(file: h5py.File, name: str, series: Series) -> h5py.Dataset:
    row_bytes = np.dtype(series.dtype).itemsize * max(1, int(np.prod(series.shape)))
    dataset = file.create_dataset(
        name,
        shape=(0, *series.shape),
        maxshape=(None, *series.shape),
        chunks=(max(1, CHUNK_BYTES // row_bytes), *series.shape),
        dtype=series.dtype,
    )
    dataset.attrs.update(series.attributes)
    return dataset
