# SPDX-License-Identifier: GPL-2.0-or-later
"""When a run has ended: ``run.h5`` is written again, with whole steps only and the profiles of all ranks.

Body rank only, in little memory. The old file stays until the new one is whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from cosim.record import commands, drive, lists
from cosim.record.disk import whole
from cosim.record.folder import RunFolder
from cosim.record.merge import merge_profiles, open_shard
from cosim.record.names import FIRST_STEP, PROFILE, RETURNED, SPIKE_IDS, SPIKE_TIMES, SPIKES_DONE

COPY_BYTES = 16 * 2**20
# Groups that are added when the run ends.
FROM_SHARDS = (f"{PROFILE}/", f"{RETURNED}/", f"{commands.GROUP}/", f"{drive.GROUP}/")


def whole_steps(run_file: Path, shards: Sequence[Path], substeps: int, returned: Sequence[Path] = ()) -> int:
    """How many steps all ranks have written whole.

    ``shards`` are of all ranks, ``substeps`` are rows of the body a step, ``returned`` are files of what transfer
    functions returned.
    """
    with open_shard(run_file) as file:
        steps = [_steps_in(file, name, substeps) for name in _series(file)]
    for path in shards:
        with open_shard(path) as file:
            steps.append(len(file[PROFILE]))
            if SPIKES_DONE in file:
                spikes = min(len(file[SPIKE_TIMES]), len(file[SPIKE_IDS]))
                steps.append(int(np.count_nonzero(file[SPIKES_DONE][:] <= spikes)))
    for path in returned:
        with open_shard(path) as file:
            steps += [file.attrs[FIRST_STEP] + len(each) for each in datasets(file).values()]
    return min(steps)


def finish_run_file(
    source: RunFolder,
    target: Path,
    shards: Sequence[Path],
    steps: int,
    substeps: int,
    by_rank: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Write what the run in ``source`` holds of ``steps`` steps as ``target``; returns the step profile.

    Besides ``run.h5`` these are profiles of all ranks (`cosim.record.merge.merge_profiles`), what transfer functions
    returned (`cosim.record.returned`) and the commands of steering (`cosim.record.commands`).
    """
    with whole(target) as unfinished:
        with open_shard(source.run_file) as old, h5py.File(unfinished, "w", libver=("v110", "latest")) as new:
            _copy_attributes(old, new)
            for name, series in _series(old).items():
                rows = lists.ends(old, name)[:steps] if lists.is_list(name) else [steps * _rows_a_step(name, substeps)]
                _copy(series, new, name, int(max(rows, default=0)))
            for path in source.returned_files():
                with open_shard(path) as file:
                    for name, series in datasets(file).items():
                        _copy(series, new, name, steps, file.attrs[FIRST_STEP])
            obeyed = commands.read_log(source.command_log)
            commands.write(new, [each for each in obeyed if each.step <= steps])
            drive.merge(shards[0].with_name(drive.SHARD), new, steps)
        return merge_profiles(unfinished, shards, steps, by_rank)


def _series(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All datasets but those that come from other files, which a file has that was finished before."""
    return {name: each for name, each in datasets(file).items() if not name.startswith(FROM_SHARDS)}


def datasets(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """All datasets of a file, or below a group, by path."""
    found: dict[str, h5py.Dataset] = {}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    group.visititems(add)
    return found


def _steps_in(file: h5py.File, name: str, substeps: int) -> int:
    """How many whole steps a dataset holds."""
    rows = len(file[name])
    return int(np.sum(lists.ends(file, name) <= rows)) if lists.is_list(name) else rows // _rows_a_step(name, substeps)


def _rows_a_step(name: str, substeps: int) -> int:
    return substeps if name.startswith("body/") else 1


def _copy(series: h5py.Dataset, file: h5py.File, name: str, rows: int, first: int = 0) -> None:
    """Copy a series of which the first row is that of step ``first``; rows before are NaN."""
    fill = np.nan if first else None
    copy = file.create_dataset(name, (rows, *series.shape[1:]), series.dtype, fillvalue=fill)
    _copy_attributes(series, copy)
    block = max(1, COPY_BYTES // max(1, series.dtype.itemsize * int(np.prod(series.shape[1:]))))
    for start in range(first, rows, block):
        end = min(start + block, rows)
        copy[start:end] = series[start - first : end - first]


def _copy_attributes(old: h5py.HLObject, new: h5py.HLObject) -> None:
    for name, value in old.attrs.items():
        new.attrs[name] = value
