# SPDX-License-Identifier: GPL-2.0-or-later
"""When a run has ended: shards of all brain ranks become ``spikes.h5``, profiles go into ``run.h5``.

Body rank only. Memory stays flat: spikes are merged by windows of whole steps. A step's spikes all lie within the step
on every rank, so windows never overlap in time, and sorting inside them sorts the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np

from cosim.brain.brain import BuiltPopulation
from cosim.profile import STEP_PHASES
from cosim.record.names import PROFILE, SPIKE_IDS, SPIKE_TIMES, SPIKES_DONE
from cosim.record.sonata import SpikeFileWriter

WINDOW_SPIKES = 2_000_000
Window = tuple[np.ndarray, np.ndarray]  # the first and the end of its rows in each shard


def merge_spikes(shards: Sequence[Path], populations: Sequence[BuiltPopulation], target: Path) -> dict[str, int]:
    """Merge the spikes of all shards into the SONATA file ``target``; return their number by population.

    Steps that some shard does not hold are left out. The result does not depend on how the populations were spread
    over ranks and threads. It is written under another name and renamed when complete.
    """
    recorded = sorted((each for each in populations if each.recorded), key=lambda each: each.first_id)
    unfinished = target.with_suffix(".unfinished")
    with ExitStack() as stack:
        files = [stack.enter_context(h5py.File(path, "r")) for path in shards]
        windows = list(_windows([file[SPIKES_DONE][:] for file in files]))
        counts = _count(files, windows, recorded)
        writer = SpikeFileWriter(unfinished, counts)
        stack.callback(writer.close)
        for starts, ends in windows:
            _merge_window(files, starts, ends, recorded, writer)
    unfinished.rename(target)
    return counts


def _count(
    files: Sequence[h5py.File], windows: Sequence[Window], populations: Sequence[BuiltPopulation]
) -> dict[str, int]:
    """Number of spikes of each population in all windows together."""
    counts = np.zeros(len(populations), dtype=int)
    for starts, ends in windows:
        for file, start, end in zip(files, starts, ends, strict=True):
            counts += np.bincount(_owner(file[SPIKE_IDS][start:end], populations), minlength=len(populations))
    return {each.name: int(count) for each, count in zip(populations, counts, strict=True)}


def _owner(ids: np.ndarray, populations: Sequence[BuiltPopulation]) -> np.ndarray:
    """Index of the population of each node; populations are in the order of their ids."""
    return np.searchsorted([each.first_id for each in populations], ids, side="right") - 1


def _windows(done: Sequence[np.ndarray]) -> Iterator[Window]:
    """Row ranges (one start and one end for each shard) of windows of whole steps, up to WINDOW_SPIKES where possible."""
    steps = min(len(each) for each in done)
    edges = np.column_stack([np.concatenate([[0], each[:steps]]) for each in done])  # (steps + 1, shards)
    total = edges.sum(axis=1)
    first = 0
    while first < steps:
        last = max(first + 1, int(np.searchsorted(total, total[first] + WINDOW_SPIKES, side="right")) - 1)
        yield edges[first], edges[last]
        first = last


def _merge_window(
    files: Sequence[h5py.File],
    starts: np.ndarray,
    ends: np.ndarray,
    populations: Sequence[BuiltPopulation],
    writer: SpikeFileWriter,
) -> None:
    ranges = list(zip(files, starts, ends, strict=True))
    times = np.concatenate([file[SPIKE_TIMES][start:end] for file, start, end in ranges])
    ids = np.concatenate([file[SPIKE_IDS][start:end] for file, start, end in ranges])
    owner = _owner(ids, populations)
    order = np.lexsort((ids, times, owner))
    times, ids = times[order], ids[order]
    edges = np.searchsorted(owner[order], np.arange(len(populations) + 1))
    for index, population in enumerate(populations):
        rows = slice(edges[index], edges[index + 1])
        if rows.stop > rows.start:
            writer.append(index, times[rows], ids[rows] - population.first_id)


def merge_profiles(run_file: Path, shards: Sequence[Path], steps: int, by_rank: Mapping[str, np.ndarray]) -> np.ndarray:
    """Add ``/profile/<phase>``, (ranks, steps) in s, to ``run.h5``, and ``/profile/<name>``, (ranks,), from ``by_rank``.

    ``shards`` are those of all ranks. Returns the whole step profile, (ranks, steps, phases); row 0 is the body rank.
    """
    profile = np.stack([_read_profile(path)[:steps] for path in shards])
    phases = {name: profile[:, :, index] for index, name in enumerate(STEP_PHASES)}
    with h5py.File(run_file, "r+") as run:
        for name, values in {**phases, **by_rank}.items():
            dataset = run.create_dataset(f"{PROFILE}/{name}", data=values)
            dataset.attrs["axes"] = ["rank", "step"][: values.ndim]
        for name in phases:
            run[PROFILE][name].attrs["units"] = "s"
    return profile


def _read_profile(shard: Path) -> np.ndarray:
    with h5py.File(shard, "r") as file:
        return file[PROFILE][:]
