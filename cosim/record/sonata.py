# SPDX-License-Identifier: GPL-2.0-or-later
"""Spike files in the SONATA format, as libsonata, bmtk and bluepysnap open them.

``/spikes/<population>/timestamps`` (float64, ms) and ``node_ids`` (uint64, from 0 in each population), sorted by time
and then id. The format's readers fail on compression and on ``sorting`` as a string: it is an HDF5 enumeration.
Format: https://github.com/AllenInstitute/sonata, "Spike trains".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

MAGIC = 0x0A7A
VERSION = (0, 1)
SORTING = {"none": 0, "by_id": 1, "by_time": 2}
CHUNK_ROWS = 2**16


class SpikeFileWriter:
    """Writes the spikes of several populations in order of time, block after block."""

    def __init__(self, path: Path, populations: Sequence[str]) -> None:
        self._file = h5py.File(path, "w")
        self._file.attrs["magic"] = np.uint32(MAGIC)
        self._file.attrs["version"] = np.array(VERSION, dtype=np.uint32)
        self._file.create_group("spikes")  # there also when nothing was recorded
        self._groups = [_create_population(self._file, name) for name in populations]

    def append(self, population: int, timestamps_ms: np.ndarray, node_ids: np.ndarray) -> None:
        """Append spikes of one population (its index), already sorted and later than all before."""
        group = self._groups[population]
        for name, values in (("timestamps", timestamps_ms), ("node_ids", node_ids)):
            dataset = group[name]
            dataset.resize(len(dataset) + len(values), axis=0)
            dataset[len(dataset) - len(values) :] = values

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _create_population(file: h5py.File, name: str) -> h5py.Group:
    group = file.create_group(f"spikes/{name}")
    kind = h5py.enum_dtype(SORTING, basetype=np.uint8)
    group.attrs.create("sorting", SORTING["by_time"], dtype=kind)
    for dataset, dtype in (("timestamps", "f8"), ("node_ids", "u8")):
        group.create_dataset(dataset, shape=(0,), maxshape=(None,), chunks=(CHUNK_ROWS,), dtype=dtype)
    group["timestamps"].attrs["units"] = "ms"
    return group
