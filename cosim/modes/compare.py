# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a run first differs from a recorded one, bit for bit; from their results folders, in little memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from cosim.record import lists
from cosim.results.step_rows import unequal

BLOCK_ROWS = 2**18
# Times are sums of decimal fractions: the last digits of the end of a step are not certain.
ROUNDING = 1e-14


@dataclass(frozen=True)
class Difference:
    """The first place where something differs: ``what``, such as ``spikes/E``, in ``step``, from 0."""

    step: int
    what: str
    recorded: str
    now: str

    def __str__(self) -> str:
        return f"{self.what} in step {self.step}: recorded {self.recorded}, now {self.now}"


def series_names(run_file: Path, group: str) -> list[str]:
    """Paths of all datasets below ``group`` of a ``run.h5``; empty where there is no such group."""
    names: list[str] = []

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            names.append(f"{group}/{name}")

    with h5py.File(run_file, "r", swmr=True) as file:
        if group in file:
            file[group].visititems(add)
    return names


def series_differences(one: Path, other: Path, names: Sequence[str], steps: int, substeps: int) -> Iterator[Difference]:
    """The first difference of each of these datasets in two ``run.h5``, in the first ``steps`` steps.

    Those of the body have ``substeps`` rows in a step, lists of spikes as many as there were, all others one. That
    there were more or fewer spikes is a difference of their numbers, which are datasets, too.
    """
    with h5py.File(one, "r", swmr=True) as first, h5py.File(other, "r", swmr=True) as second:
        for name in names:
            rows = substeps if name.startswith("body/") else 1
            ends = lists.ends(first, name)[:steps] if lists.is_list(name) else rows * np.arange(1, steps + 1)
            most = min([int(ends[-1]), len(second[name])] if steps else [0])
            place = _first_unequal([first[name]], [second[name]], most)
            if place is not None:
                values = _unequal_values(first[name][place], second[name][place])
                yield Difference(int(np.searchsorted(ends, place, side="right")), name, *values)


def spike_differences(one: Path, other: Path, names: Sequence[str], steps: int, step_ms: float) -> Iterator[Difference]:
    """The first difference of each of these populations in ``steps`` steps of two ``spikes.h5``."""
    end_ms = steps * step_ms
    with h5py.File(one, "r") as first, h5py.File(other, "r") as second:
        for name in names:
            trains = [file["spikes"][name] for file in (first, second)]
            counts = [count_until(train, end_ms) for train in trains]
            recorded, now = ([train["timestamps"], train["node_ids"]] for train in trains)
            place = _first_unequal(recorded, now, min(counts))
            if place is None and counts[0] != counts[1]:
                place = min(counts)
            if place is not None:
                fired = [_spike(train, place, count) for train, count in zip(trains, counts, strict=True)]
                first_ms = min(time_ms for time_ms, _ in fired)
                step = int(np.ceil(first_ms / step_ms * (1 - ROUNDING))) - 1
                yield Difference(step, f"spikes/{name}", *(told for _, told in fired))


def count_until(train: h5py.Group, end_ms: float) -> int:
    """Spikes of a population up to ``end_ms``."""
    return bisect_right(train["timestamps"], end_ms * (1 + ROUNDING))


def _unequal_values(one: np.ndarray, other: np.ndarray) -> tuple[str, str]:
    """The first two values that differ in a row of any shape."""
    place = np.flatnonzero(unequal(one, other))[0]
    first, second = (repr(float(np.ravel(row)[place])) for row in (one, other))
    return first, second


def _spike(train: h5py.Group, place: int, count: int) -> tuple[float, str]:
    """Time in ms of a spike and what is told of it; where there is none, it never comes."""
    if place >= count:
        return np.inf, "no more spike"
    time_ms = train["timestamps"][place]
    return time_ms, f"neuron {train['node_ids'][place]} at {time_ms:g} ms"


def _first_unequal(one: Sequence[h5py.Dataset], other: Sequence[h5py.Dataset], rows: int) -> int | None:
    """The first row of ``rows`` in which a dataset of ``one`` differs from that of ``other``."""
    for start in range(0, rows, BLOCK_ROWS):
        end = min(start + BLOCK_ROWS, rows)
        found = [
            np.flatnonzero(unequal(first[start:end], second[start:end]).reshape(end - start, -1).any(axis=1))
            for first, second in zip(one, other, strict=True)
        ]
        places = [each[0] for each in found if each.size]
        if places:
            return start + int(min(places))
    return None
