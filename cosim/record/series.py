# SPDX-License-Identifier: GPL-2.0-or-later
"""An HDF5 file that only grows: named datasets to which rows are appended while a run goes on.

The file is written in HDF5's single-writer/multiple-reader mode and flushed about once a second, so another process
can read it at any time with ``h5py.File(path, "r", swmr=True)``, and what was flushed stays readable if the writer is
killed. Rows are collected in memory between flushes: HDF5 calls are too slow to be made for every row of every step.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosim.errors import RecordingError
from cosim.record.attributes import set_attributes
from cosim.record.disk import whole, writing

FLUSH_INTERVAL_S = 1.0
# Short steps bring thousands of rows a second; when so much waits it is written, which takes 2 ms.
WAITING_BYTES = 2**18
CHUNK_BYTES = 64 * 2**10
# What all columns of a series may take together for their open chunks, and the least that one has.
COLUMNS_BYTES, LEAST_CHUNK_BYTES = 2**20, 2**10
# HDF5 would keep 8 MB of chunks for each dataset, though only the last one is still written to.
CACHE_BYTES = CHUNK_BYTES
FIRST_ROWS = 64


@dataclass(frozen=True)
class Series:
    """A dataset to be: the shape of one row (empty for a scalar), its type and attributes such as units.

    With ``columns``, rows have one value for each of these names, or those of an array of the shape that ``shapes``
    says, and each is stored as a dataset of its own below the name of the series, with its ``column_attributes``.
    """

    shape: tuple[int, ...] = ()
    dtype: str = "f8"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    column_attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of a row of all columns together."""
        if self.columns is None:
            return self.shape
        return (sum(math.prod(self.shapes.get(each, ())) for each in self.columns),)

    def datasets(self, name: str) -> dict[str, Series]:
        """The datasets of a series of this name, by where they lie in the file."""
        if self.columns is None:
            return {name: self}
        return {f"{name}/{column}": self._dataset(column) for column in self.columns}

    def _dataset(self, column: str) -> Series:
        return Series(
            self.shapes.get(column, ()), self.dtype, {**self.attributes, **self.column_attributes.get(column, {})}
        )

    def split(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """What goes to each of the datasets."""
        if self.columns is None:
            yield rows
            return
        start = 0
        for column in self.columns:
            shape = self.shapes.get(column, ())
            width = math.prod(shape)
            yield rows[:, start : start + width].reshape(len(rows), *shape)
            start += width


class SeriesFile:
    """Appends rows to the datasets of one file; nobody else writes to it meanwhile."""

    def __init__(self, path: Path, series: Mapping[str, Series], attributes: Mapping[str, Any] | None = None) -> None:
        if path.exists():
            raise FileExistsError(f"{path}: already there")
        self._path, self._series, self._abandoned = path, series, False
        with whole(path) as unfinished:
            self._file = h5py.File(unfinished, "w-", libver=("v110", "latest"), rdcc_nbytes=CACHE_BYTES)
            set_attributes(self._file, attributes or {})
            self._datasets = {
                name: [_create(self._file, *dataset, each) for dataset in each.datasets(name).items()]
                for name, each in series.items()
            }
            self._file.swmr_mode = True
            self._file.flush()
        self._pending = {name: _Rows(each) for name, each in series.items()}
        self._flushed = time.monotonic()

    def append(self, name: str, rows: np.ndarray) -> None:
        """Append ``rows``, (n, *shape of a row) or (n, all columns), to the series ``name``; they are copied."""
        self._pending[name].append(rows)

    def is_due(self) -> bool:
        """Whether the last time that rows were written is long ago, or much has come together."""
        if time.monotonic() - self._flushed > FLUSH_INTERVAL_S:
            return True
        return sum(rows.nbytes for rows in self._pending.values()) > WAITING_BYTES

    def flush(self) -> None:
        """Write everything to disk."""
        for name, pending in self._pending.items():
            self.write(name, pending.take())
        with self._writing():
            self._file.flush()
        self._flushed = time.monotonic()

    def write(self, name: str, rows: np.ndarray) -> None:
        """Write ``rows`` to disk at once, behind those that are there. For many rows.

        Each dataset is flushed alone: when its rows find no space its length stays what it was. Flushing a whole file
        HDF5 goes on after an error, and writes the lengths of datasets without their rows.
        """
        parts = self._series[name].split(rows)
        with self._writing():
            for dataset, part in zip(self._datasets[name], parts, strict=True):
                if len(part):
                    _extend(dataset.id, np.ascontiguousarray(part))
                    dataset.id.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What fails becomes a RecordingError, and the file stays as it was flushed last."""
        try:
            with writing(self._path):
                yield
        except RecordingError:
            self._abandon()
            raise

    def _abandon(self) -> None:
        """What HDF5 would still write when it closes, such as the lengths of rows that found no space, goes nowhere.

        It never closes it by itself, as it would complain that the null device cannot be made longer.
        """
        h5py.h5i.inc_ref(self._file.id)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self._file.id.get_vfd_handle(), inheritable=False)
        os.close(nowhere)
        self._abandoned = True

    @property
    def is_open(self) -> bool:
        return not self._abandoned and bool(self._file)

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        if self.is_open:
            self.flush()
            with self._writing():
                self._file.close()


class _Rows:
    """Rows that wait to be written, in one array that is used again and grows as needed."""

    def __init__(self, series: Series) -> None:
        self._row_bytes = np.dtype(series.dtype).itemsize * math.prod(series.row_shape)
        rows = max(1, min(FIRST_ROWS, WAITING_BYTES // max(1, self._row_bytes)))
        self._rows, self._count = np.empty((rows, *series.row_shape), dtype=series.dtype), 0

    @property
    def nbytes(self) -> int:
        return self._count * self._row_bytes

    def append(self, rows: np.ndarray) -> None:
        end = self._count + len(rows)
        if end > len(self._rows):
            larger = np.empty((2 * end, *self._rows.shape[1:]), dtype=self._rows.dtype)
            larger[: self._count] = self._rows[: self._count]
            self._rows = larger
        self._rows[self._count : end] = rows
        self._count = end

    def take(self) -> np.ndarray:
        """All rows, valid until the next ``append``; none are left."""
        rows, self._count = self._rows[: self._count], 0
        return rows


def _extend(dataset: h5py.h5d.DatasetID, rows: np.ndarray) -> None:
    """Append rows; with HDF5's own calls, as those of h5py's objects take 5 times as long for short rows."""
    first = dataset.shape[0]
    dataset.set_extent((first + len(rows), *rows.shape[1:]))
    place = dataset.get_space()
    place.select_hyperslab((first, *[0] * (rows.ndim - 1)), rows.shape)
    dataset.write(h5py.h5s.create_simple(rows.shape), place, rows)


def _create(file: h5py.File, name: str, series: Series, whole_series: Series) -> h5py.Dataset:
    """The dataset ``name`` for ``series``, which may be a column of ``whole_series``."""
    row_bytes = np.dtype(series.dtype).itemsize * max(1, int(np.prod(series.shape)))
    chunk_bytes = max(LEAST_CHUNK_BYTES, min(CHUNK_BYTES, COLUMNS_BYTES // len(whole_series.columns or [name])))
    dataset = file.create_dataset(
        name,
        shape=(0, *series.shape),
        maxshape=(None, *series.shape),
        chunks=(max(1, chunk_bytes // row_bytes), *series.shape),
        dtype=series.dtype,
    )
    set_attributes(dataset, series.attributes)
    return dataset
