# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the shards of a run that has not ended, while its ranks may go on writing them.

Only steps count that all ranks have written whole. A writer may add to one dataset while another is read:
steps of which not everything was there when they were counted are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np

from cosim.engines.built import BuiltPopulation
from cosim.record.folder import RunFolder
from cosim.record.names import FIRST_STEP, PROFILE, RETURNED, SPIKE_IDS, SPIKE_TIMES, SPIKES_DONE
from cosim.record.runfile import datasets


def are_in(folder: RunFolder) -> bool:
    """Whether a run has shards: they are merged and removed when it ends."""
    return bool(_paths(folder))


def read_profile(folder: RunFolder) -> dict[str, np.ndarray]:
    """Wall time in s of each phase of a step, (ranks, steps)."""
    profiles = []
    for path in _paths(folder):
        with h5py.File(path, "r", swmr=True) as file:
            profiles.append(file[PROFILE][:])
            phases = [str(name) for name in file[PROFILE].attrs["phases"]]
    steps = min(len(each) for each in profiles)
    return {name: np.stack([each[:steps, index] for each in profiles]) for index, name in enumerate(phases)}


def read_spikes(
    folder: RunFolder, populations: Sequence[BuiltPopulation], steps: range | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Times in ms and node ids from 0 of each population, sorted by time and then id.

    Of ``steps``, which all ranks have written whole; by default of all such steps.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(h5py.File(path, "r", swmr=True)) for path in _paths(folder)[1:]]
        done = [_spikes_done(file) for file in files]
        steps = steps or range(min((len(each) - 1 for each in done), default=0))
        rows = [slice(each[steps.start], each[steps.stop]) for each in done]
        times_ms = _joined(files, SPIKE_TIMES, rows)
        ids = _joined(files, SPIKE_IDS, rows)
    return {each.name: _of_population(times_ms, ids, each) for each in populations}


def read_returned(folder: RunFolder) -> dict[str, np.ndarray]:
    """What transfer functions returned, by path below ``transfer`` of ``run.h5``, (steps, ...); NaN for nothing."""
    found: dict[str, np.ndarray] = {}
    for path in folder.returned_files():
        with h5py.File(path, "r", swmr=True) as file:
            first = file.attrs[FIRST_STEP]
            for name, rows in datasets(file[RETURNED]).items():
                found[name] = np.concatenate([np.full((first, *rows.shape[1:]), np.nan), rows[:]])
    return found


def _paths(folder: RunFolder) -> list[Path]:
    """Shards of all ranks; the first is the body rank's."""
    return sorted(folder.shard(0).parent.glob("rank-*.h5"))


def _spikes_done(file: h5py.File) -> np.ndarray:
    """Number of spikes before the first step and at the end of each whole one, (whole steps + 1,)."""
    spikes = min(len(file[SPIKE_TIMES]), len(file[SPIKE_IDS]))
    done = file[SPIKES_DONE][:]
    return np.concatenate([[0], done[done <= spikes]])


def _joined(files: Sequence[h5py.File], name: str, rows: Sequence[slice]) -> np.ndarray:
    """Rows of a dataset of all files, (n,)."""
    parts = (file[name][part] for file, part in zip(files, rows, strict=True))
    return np.concatenate([np.empty(0, int), *parts])


def _of_population(times_ms: np.ndarray, ids: np.ndarray, population: BuiltPopulation) -> tuple[np.ndarray, np.ndarray]:
    own = (ids >= population.first_id) & (ids < population.first_id + population.size)
    times_ms, nodes = times_ms[own], (ids[own] - population.first_id).astype(np.uint64)
    order = np.lexsort((nodes, times_ms))
    return times_ms[order], nodes[order]
