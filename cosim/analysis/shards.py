# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the shards of a run that has not ended, while its ranks may go on writing them.

Only steps count that all ranks have written whole. What is appended last is read first, so that a length that
was read never promises more than the rest holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from cosim.record.folder import RunFolder
from cosim.record.names import PROFILE, SPIKE_IDS, SPIKE_TIMES, SPIKES_DONE
from cosim.record.populations import Population


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
    folder: RunFolder, populations: Sequence[Population]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Times in ms and node ids from 0 of each population, sorted by time and then id."""
    shards = [_read_shard(path) for path in _paths(folder)[1:]]
    steps = min((len(done) for done, _, _ in shards), default=0)
    ends = [int(done[steps - 1]) if steps else 0 for done, _, _ in shards]
    times_ms = np.concatenate(
        [times[:end] for (_, times, _), end in zip(shards, ends, strict=True)] or [np.empty(0)]
    )
    ids = np.concatenate(
        [ids[:end] for (_, _, ids), end in zip(shards, ends, strict=True)] or [np.empty(0, int)]
    )
    return {each.name: _of_population(times_ms, ids, each) for each in populations}


def _paths(folder: RunFolder) -> list[Path]:
    """Shards of all ranks; the first is the body rank's."""
    return sorted(folder.shard(0).parent.glob("rank-*.h5"))


def _read_shard(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of spikes at the end of each whole step, times and NEST's node ids."""
    with h5py.File(path, "r", swmr=True) as file:
        done = file[SPIKES_DONE][:]
        times_ms, ids = file[SPIKE_TIMES][:], file[SPIKE_IDS][:]
    return done[done <= min(len(times_ms), len(ids))], times_ms, ids


def _of_population(
    times_ms: np.ndarray, ids: np.ndarray, population: Population
) -> tuple[np.ndarray, np.ndarray]:
    own = (ids >= population.first_id) & (ids < population.first_id + population.size)
    times_ms, nodes = times_ms[own], (ids[own] - population.first_id).astype(np.uint64)
    order = np.lexsort((nodes, times_ms))
    return times_ms[order], nodes[order]
