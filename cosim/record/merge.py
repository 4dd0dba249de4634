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

from cosim.engines.built import BuiltPopulation
from cosim.record.disk import whole
from cosim.record.names import PROFILE, SPIKE_IDS, SPIKE_TIMES, SPIKES_DONE
from cosim.record.profile import STEP_PHASES
from cosim.record.sonata import SpikeFileWriter

WINDOW_SPIKES = 2_000_000
Window = tuple[np.ndarray, np.ndarray]  # the first and the end of its rows in each shard


def merge_spikes(
    shards: Sequence[Path], populations: Sequence[BuiltPopulation], target: Path, most_steps: int | None = None
) -> dict[str, int]:
    """Merge the spikes of all shards into the SONATA file ``target``; return their number by population.

    Steps that some shard does not hold are left out, and those after ``most_steps``. The result does not depend on
    how the populations were spread over ranks and threads. It is written under another name and renamed when
    complete.
    """
    recorded = sorted((each for each in populations if each.recorded), key=lambda each: each.first_id)
    with ExitStack() as stack:
        unfinished = stack.enter_context(whole(target))
        files = [stack.enter_context(open_shard(path)) for path in shards]
        windows = list(_windows([file[SPIKES_DONE][:most_steps] for file in files]))
        counts = _count(files, windows, recorded)
        writer = SpikeFileWriter(unfinished, counts)
        stack.callback(writer.close)
        for starts, ends in windows:
            _merge_window(files, starts, ends, recorded, writer)
    return counts


def open_shard(path: Path) -> h5py.File:
    """A shard for reading, also one whose writer was killed."""
    return h5py.File(path, "r", swmr=True)


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
    """Row ranges (start and end for each shard) of windows of whole steps, up to WINDOW_SPIKES where possible."""
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
    if ids.size:
        for index, (times_ms, nodes) in enumerate(_by_population(times, ids, populations)):
            writer.append(index, times_ms, nodes)


def _by_population(
    times: np.ndarray, ids: np.ndarray, populations: Sequence[BuiltPopulation]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Times and node ids from 0 of each population, sorted by time and then id.

    Population, time and id are made one whole number: to sort these is four times as fast as by three keys.
    """
    owner, first_ids = _owner(ids, populations), np.array([each.first_id for each in populations])
    moments, most_nodes = np.unique(times), max(each.size for each in populations)
    keys = (owner * len(moments) + np.searchsorted(moments, times)) * most_nodes + ids - first_ids[owner]
    keys.sort()
    edges = np.searchsorted(keys, np.arange(len(populations) + 1) * len(moments) * most_nodes)
    place, nodes = np.divmod(keys, most_nodes)
    times = moments[place % len(moments)]
    return ((times[start:stop], nodes[start:stop]) for start, stop in zip(edges[:-1], edges[1:], strict=True))


def merge_profiles(run_file: Path, shards: Sequence[Path], steps: int, by_rank: Mapping[str, np.ndarray]) -> np.ndarray:
    """Add ``/profile/<phase>`` (ranks, steps) in s and ``/profile/<name>`` (ranks,) from ``by_rank`` to ``run.h5``.

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
    with open_shard(shard) as file:
        return file[PROFILE][:]
