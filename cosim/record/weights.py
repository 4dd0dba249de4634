# SPDX-License-Identifier: GPL-2.0-or-later
"""``weights.h5``: all weights of the synapses of a projection, for each sink of weights whose ``full_every`` is set.

A group for each sink, with the attributes ``source`` and ``target``, the names of the populations, has the datasets

- ``source_id`` and ``target_id``, (synapses,): numbers of neurons in their populations, from 0; by source, then target,
- ``time_ms``, (times,): 0 and the ends of the coupling steps after which the weights were taken,
- ``weight``, (times, synapses), in the unit of the target's neurons, nS or pA.

It does not depend on how the brain was split into ranks and threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from cosim.engines.engine import KeptWeights
from cosim.record.disk import whole
from cosim.record.merge import open_shard
from cosim.record.names import WEIGHTS
from cosim.record.series import Series


class WeightsOverTime(NamedTuple):
    """All weights of a projection at some times; ids are numbers of neurons in their populations."""

    source: str
    target: str
    time_ms: np.ndarray
    """(times,)."""
    source_ids: np.ndarray
    """(synapses,)."""
    target_ids: np.ndarray
    """(synapses,)."""
    weights: np.ndarray
    """(times, synapses)."""


def weight_series(kept: Sequence[KeptWeights]) -> dict[str, Series]:
    """The datasets in the shard of a brain rank; ``weight`` has one time after the other."""
    return {
        f"{WEIGHTS}/{each.name}/{name}": series
        for each in kept
        for name, series in {
            "source_id": Series(dtype="i8"),
            "target_id": Series(dtype="i8"),
            "weight": Series(attributes=each.attributes),
        }.items()
    }


def merge_weights(shards: Sequence[Path], target: Path, steps: int, step_ms: float) -> None:
    """Write ``target`` from the shards of all brain ranks, up to the end of ``steps`` steps; nothing if none are kept.

    Body rank only.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(open_shard(path)) for path in shards]
        if WEIGHTS not in files[0]:
            return
        with whole(target) as unfinished, h5py.File(unfinished, "w") as merged:
            for name in files[0][WEIGHTS]:
                groups = [file[f"{WEIGHTS}/{name}"] for file in files]
                _merge(groups, merged.create_group(name), steps, step_ms)


def _merge(shards: Sequence[h5py.Group], merged: h5py.Group, steps: int, step_ms: float) -> None:
    known = shards[0]["weight"].attrs
    merged.attrs.update({name: known[name] for name in ("source", "target")})
    sources, targets = (np.concatenate([shard[name][:] for shard in shards]) for name in ("source_id", "target_id"))
    order = np.lexsort((targets, sources))
    merged["source_id"], merged["target_id"] = sources[order], targets[order]
    every = int(known["every"])
    times = min([steps // every + 1, *(_times(shard) for shard in shards if len(shard["source_id"]))])
    merged["time_ms"] = np.arange(times) * every * step_ms
    merged["time_ms"].attrs["units"] = "ms"
    weights = merged.create_dataset("weight", (times, len(order)), "f8")
    for time in range(times):
        weights[time] = np.concatenate([_at(shard, time) for shard in shards])[order]


def _times(shard: h5py.Group) -> int:
    """Of how many times the shard has the weights of all its synapses."""
    return len(shard["weight"]) // len(shard["source_id"])


def _at(shard: h5py.Group, time: int) -> np.ndarray:
    synapses = len(shard["source_id"])
    return shard["weight"][time * synapses : (time + 1) * synapses]


def read_weights(file: Path, sink: str) -> WeightsOverTime:
    """What a sink kept. Raises KeyError if it kept nothing."""
    if not file.is_file():
        raise KeyError(f"{sink}: no sink of the run kept weights, see full_every")
    with h5py.File(file) as opened:
        if sink not in opened:
            raise KeyError(f"{sink}: no such sink kept weights; there are {', '.join(opened)}")
        group = opened[sink]
        arrays = (group[name][:] for name in ("time_ms", "source_id", "target_id", "weight"))
        return WeightsOverTime(str(group.attrs["source"]), str(group.attrs["target"]), *arrays)
