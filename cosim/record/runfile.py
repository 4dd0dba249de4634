# SPDX-License-Identifier: GPL-2.0-or-later
"""When a run has ended: ``run.h5`` is written again, with whole steps only and the profiles of all ranks.

Body rank only, in little memory. The old file stays until the new one is whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from cosim.record import lists
from cosim.record.disk import whole
from cosim.record.merge import merge_profiles, open_shard
from cosim.record.names import PROFILE, SPIKE_IDS, SPIKE_TIMES, SPIKES_DONE

COPY_BYTES = 16 * 2**20


def whole_steps(run_file: Path, shards: Sequence[Path], substeps: int) -> int:
    """How many steps all ranks have written whole.

    ``shards`` are of all ranks, ``substeps`` are rows of the body a step.
    """
    with open_shard(run_file) as file:
        steps = [_steps_in(file, name, substeps) for name in _series(file)]
    for path in shards:
        with open_shard(path) as file:
            steps.append(len(file[PROFILE]))
            if SPIKES_DONE in file:
                spikes = min(len(file[SPIKE_TIMES]), len(file[SPIKE_IDS]))
                steps.append(int(np.count_nonzero(file[SPIKES_DONE][:] <= spikes)))
    return min(steps)


def finish_run_file(
    source: Path,
    target: Path,
    shards: Sequence[Path],
    steps: int,
    substeps: int,
    by_rank: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Write what ``source`` holds of ``steps`` steps as ``target``, with profiles; returns the step profile.

    See `cosim.record.merge.merge_profiles`.
    """
    with whole(target) as unfinished:
        with open_shard(source) as old, h5py.File(unfinished, "w", libver=("v110", "latest")) as new:
            _copy_attributes(old, new)
            for name, series in _series(old).items():
                rows = lists.ends(old, name)[:steps] if lists.is_list(name) else [steps * _rows_a_step(name, substeps)]
                _copy(series, new, name, int(max(rows, default=0)))
        return merge_profiles(unfinished, shards, steps, by_rank)


def _series(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All datasets but the profiles, which a file has that was finished before."""
    found: dict[str, h5py.Dataset] = {}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith(f"{PROFILE}/"):
            found[name] = item

    file.visititems(add)
    return found


def _steps_in(file: h5py.File, name: str, substeps: int) -> int:
    """How many whole steps a dataset holds."""
    rows = len(file[name])
    return int(np.sum(lists.ends(file, name) <= rows)) if lists.is_list(name) else rows // _rows_a_step(name, substeps)


def _rows_a_step(name: str, substeps: int) -> int:
    return substeps if name.startswith("body/") else 1


def _copy(series: h5py.Dataset, file: h5py.File, name: str, rows: int) -> None:
    copy = file.create_dataset(name, (rows, *series.shape[1:]), series.dtype)
    _copy_attributes(series, copy)
    block = max(1, COPY_BYTES // max(1, series.dtype.itemsize * int(np.prod(series.shape[1:]))))
    for start in range(0, rows, block):
        end = min(start + block, rows)
        copy[start:end] = series[start:end]


def _copy_attributes(old: h5py.HLObject, new: h5py.HLObject) -> None:
    for name, value in old.attrs.items():
        new.attrs[name] = value
