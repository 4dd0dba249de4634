# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run recorded in each coupling step, read step by step in little memory. Body rank only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from cosim.record import lists

# Steps that are read at once.
BLOCK_STEPS = 256


def unequal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where two arrays of numbers of 8 bytes differ in any bit, as booleans in their shape."""
    return np.ascontiguousarray(one).view(np.int64) != np.ascontiguousarray(other).view(np.int64)


class Rows:
    """Some datasets of a ``run.h5`` side by side: for each of ``steps`` steps a row with all that they hold
    of it.

    Each of them has ``rows`` rows for a step.
    """

    def __init__(self, run_file: Path, names: Sequence[str], steps: int, rows: int = 1) -> None:
        self._file = h5py.File(run_file, "r", swmr=True)
        self._datasets = [self._file[name] for name in names]
        self._names, self._steps, self._rows = list(names), steps, rows
        self._block, self._first = np.empty((0, 0)), 0

    def at(self, step: int) -> np.ndarray:
        """All values of ``step``, one dataset after the other, (n,)."""
        if not self._first <= step < self._first + len(self._block):
            self._read(step)
        return self._block[step - self._first]

    def name(self, place: int) -> str:
        """The dataset to which the value at this place of a row belongs."""
        widths = [self._rows * int(np.prod(each.shape[1:])) for each in self._datasets]
        return self._names[int(np.searchsorted(np.cumsum(widths), place, side="right"))]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, step: int) -> None:
        end = min(step + BLOCK_STEPS, self._steps)
        rows = slice(step * self._rows, end * self._rows)
        parts = [each[rows].reshape(end - step, -1) for each in self._datasets]
        self._block, self._first = np.hstack([np.empty((end - step, 0)), *parts]), step


class ListRows:
    """The spikes that a device exchanged one by one, as a ``run.h5`` holds them of each step."""

    def __init__(self, run_file: Path, device: str) -> None:
        self._file = h5py.File(run_file, "r", swmr=True)
        self._times_ms, self._neurons = (
            self._file[f"{lists.LISTS}/{device}/{name}"] for name in (lists.TIMES, lists.NEURONS)
        )
        self._edges = np.concatenate([[0], lists.ends(self._file, self._times_ms.name.lstrip("/"))])

    def at(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Times in ms and neurons of the spikes of ``step``, (n,) float64 each."""
        rows = slice(*self._edges[step : step + 2])
        return self._times_ms[rows], self._neurons[rows].astype(float)
