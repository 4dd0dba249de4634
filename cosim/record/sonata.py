# SPDX-License-Identifier: GPL-2.0-or-later
"""Spike files in the SONATA format, as libsonata, bmtk and bluepysnap open them.

``/spikes/<population>/timestamps`` (float64, ms) and ``node_ids`` (uint64, from 0 in each population), sorted
by time and then id. The format's readers fail on compression and on ``sorting`` as a string: it is an HDF5
enumeration. Format: https://github.com/AllenInstitute/sonata, "Spike trains".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

MAGIC = 0x0A7A
VERSION = (0, 1)
SORTING = {"none": 0, "by_id": 1, "by_time": 2}


def write_magic(file: h5py.File) -> None:
    """Say that the file is SONATA's."""
    file.attrs["magic"] = np.uint32(MAGIC)
    file.attrs["version"] = np.array(VERSION, dtype=np.uint32)


class SpikeFileWriter:
    """Writes the spikes of several populations in order of time, block after block.

    How many there are of each is known before: the file has no gaps, and blocks leave no trace in it.
    """

    def __init__(self, path: Path, counts: Mapping[str, int]) -> None:
        self._file = h5py.File(path, "w")
        write_magic(self._file)
        self._file.create_group("spikes")  # there also when nothing was recorded
        self._groups = [_create_population(self._file, name, count) for name, count in counts.items()]
        self._written = [0] * len(counts)

    def append(self, population: int, timestamps_ms: np.ndarray, node_ids: np.ndarray) -> None:
        """Append spikes of one population (its index), already sorted and later than all before."""
        start = self._written[population]
        stop = self._written[population] = start + len(timestamps_ms)
        group = self._groups[population]
        group["timestamps"][start:stop], group["node_ids"][start:stop] = timestamps_ms, node_ids

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _create_population(file: h5py.File, name: str, count: int) -> h5py.Group:
    group = file.create_group(f"spikes/{name}")
    kind = h5py.enum_dtype(SORTING, basetype=np.uint8)
    group.attrs.create("sorting", SORTING["by_time"], dtype=kind)
    at_once = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    at_once.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    at_once.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    for dataset, dtype in (("timestamps", "f8"), ("node_ids", "u8")):
        group.create_dataset(dataset, (count,), dtype, dcpl=at_once)
    group["timestamps"].attrs["units"] = "ms"
    return group


def write_report(
    path: Path,
    population: str,
    nodes: Mapping[int, int],
    values: np.ndarray,
    units: str,
    start_ms: float,
    step_ms: float,
) -> None:
    """Write ``values``, (times, elements), of some nodes of a population as a report.

    ``nodes`` are how many elements each has, by their ids, which ascend. The first row is of ``start_ms``, the next of
    one ``step_ms`` later; libsonata asks for single precision. Format: "Reports" at the same place.
    """
    elements = np.fromiter(nodes.values(), dtype="i8")
    with h5py.File(path, "w") as file:
        write_magic(file)
        group = file.create_group(f"report/{population}")
        group.create_dataset("data", data=values, dtype="f4").attrs["units"] = units
        mapping = group.create_group("mapping")
        mapping["node_ids"] = np.fromiter(nodes, dtype="u8")
        mapping["index_pointers"] = np.concatenate([[0], np.cumsum(elements)]).astype("u8")
        mapping["index_pointer"] = mapping["index_pointers"]  # the name that bmtk knows
        mapping["element_ids"] = np.concatenate([np.arange(each, dtype="u4") for each in elements])
        mapping["element_pos"] = np.zeros(elements.sum(), dtype="f4")  # for bmtk, too
        mapping["time"] = [start_ms, start_ms + len(values) * step_ms, step_ms]
        mapping["time"].attrs["units"] = "ms"
        mapping["node_ids"].attrs.create("sorted", 1, dtype="u1")
