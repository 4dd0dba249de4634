# SPDX-License-Identifier: GPL-2.0-or-later
"""Spikes that were exchanged one by one, in ``run.h5``: ``exchange/spikes/<device>/times_ms`` and ``neurons``.

They lie there step by step, each step by time and then neuron; -1 stands for all neurons. How many belong to a step
stands in the series of the device, in ``exchange/readout`` or ``exchange/stimulus``. Of a sink they are there if
``spikes.h5`` does not have the spikes of all its neurons.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import h5py
import numpy as np

from cosim.devices.devices import Device, Devices, SpikeLists
from cosim.record.series import Series

LISTS = "exchange/spikes"
TIMES, NEURONS = "times_ms", "neurons"


def series(devices: Devices) -> dict[str, Series]:
    """The datasets of all devices of which lists are recorded, by name."""
    found: dict[str, Series] = {}
    for each in chain[Device](devices.sinks, devices.sources):
        if each.table.has_list and not each.is_recorded:
            known = {"population": each.neurons.pattern, "kind": each.table.kind}
            found[f"{LISTS}/{each.name}/{TIMES}"] = Series(attributes={**known, "units": "ms"})
            found[f"{LISTS}/{each.name}/{NEURONS}"] = Series(dtype="i8", attributes=known)
    return found


def of_step(lists: SpikeLists) -> Iterator[tuple[str, np.ndarray]]:
    """What goes to these datasets of the step that is over; also of sinks that have none. Body rank."""
    spikes = [(each.name, (each.times_ms, each.numbers)) for each in lists.sinks]
    spikes += [(each.name, acted) for each, acted in zip(lists.sources, lists.acted, strict=True)]
    for name, (times_ms, numbers) in spikes:
        yield f"{LISTS}/{name}/{TIMES}", times_ms
        yield f"{LISTS}/{name}/{NEURONS}", numbers


def is_list(name: str) -> bool:
    """Whether a dataset of ``run.h5`` is one of these, with as many rows in a step as there were spikes."""
    return name.startswith(f"{LISTS}/")


def ends(file: h5py.File, name: str) -> np.ndarray:
    """Rows of such a dataset up to the end of each step, (steps,) int64."""
    device = name.removeprefix(f"{LISTS}/").partition("/")[0]
    groups = [file[f"exchange/{group}"] for group in ("readout", "stimulus") if f"exchange/{group}" in file]
    counts = next(group[device] for group in groups if device in group)
    return np.cumsum(counts[:], dtype=np.int64)


def read(file: h5py.File, device: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Times in ms and neurons of all spikes of a device in the first ``steps`` steps, as far as they are there."""
    times_ms, neurons = (file[f"{LISTS}/{device}/{name}"] for name in (TIMES, NEURONS))
    exchanged = ends(file, f"{LISTS}/{device}")[:steps].max(initial=0)
    rows = min(len(times_ms), len(neurons), int(exchanged))
    return times_ms[:rows], neurons[:rows]
