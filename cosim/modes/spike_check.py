# SPDX-License-Identifier: GPL-2.0-or-later
"""Spikes are compared with those of a recorded run, block by block. Brain ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from operator import attrgetter
from typing import Any

import h5py
import numpy as np

from cosim.engines.built import BuiltPopulation
from cosim.engines.engine import JournalSpikes, SteppedBrain
from cosim.errors import Departure
from cosim.record import populations
from cosim.record.folder import RunFolder
from cosim.record.recorder import BrainRecorder

BLOCK_SPIKES = 2**16


class CheckedRecorder:
    """A `BrainRecorder` that writes spikes only after they were compared with those of a recorded run."""

    def __init__(self, recorder: BrainRecorder, brain: SteppedBrain, check: SpikeCheck) -> None:
        self._recorder, self._brain, self._check = recorder, brain, check
        self._is_open = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recorder, name)  # what does not write spikes

    def flush(self) -> None:
        """Compare, then write everything to disk. Raises Departure, and writes nothing from then on."""
        self._is_open = False
        self._check(self._brain.spikes())
        self._is_open = True
        self._recorder.flush()

    def close(self) -> None:
        """Compare, then write everything to disk; a second call does nothing."""
        if self._is_open:
            self.flush()
            self._is_open = False
            self._recorder.close()


class SpikeCheck:
    """Compares the spikes of this rank with the recorded ones, in order of time.

    ``built`` are the populations of the brain and ``is_own`` says which node ids are on this rank. Beyond the
    end of the recorded run everything is right. A call raises Departure at the first spike that differs.
    """

    def __init__(
        self, folder: RunFolder, built: Sequence[BuiltPopulation], is_own: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        known = populations.read(folder.populations_file)
        _check_populations(known, built)
        recorded = sorted((each for each in known if each.recorded), key=lambda each: each.first_id)
        self._first_ids = np.array([each.first_id for each in recorded])
        file = h5py.File(folder.spike_file, "r")
        spikes = file["spikes"]
        self._recorded = [_Recorded(each.name, each.first_id, spikes[each.name], is_own) for each in recorded]

    def __call__(self, spikes: JournalSpikes) -> None:
        if all(each.is_over for each in self._recorded):
            return
        owner = np.searchsorted(self._first_ids, spikes.node_ids, side="right") - 1
        order = np.lexsort((spikes.node_ids, spikes.times_ms, owner))
        times_ms, ids = spikes.times_ms[order], spikes.node_ids[order]
        edges = np.searchsorted(owner[order], np.arange(len(self._recorded) + 1))
        for recorded, start, end in zip(self._recorded, edges[:-1], edges[1:], strict=True):
            recorded.compare(times_ms[start:end], ids[start:end])


class _Recorded:
    """The spikes of this rank's neurons of one population, from the first to the last."""

    def __init__(self, name: str, first_id: int, group: h5py.Group, is_own: Callable[[np.ndarray], np.ndarray]) -> None:
        self._name, self._first_id, self._group, self._is_own = name, first_id, group, is_own
        self._read, self._times_ms, self._ids = 0, np.empty(0), np.empty(0, int)

    @property
    def is_over(self) -> bool:
        """Whether all were compared."""
        return not len(self._ids) and self._read >= len(self._group["node_ids"])

    def compare(self, times_ms: np.ndarray, ids: np.ndarray) -> None:
        """``times_ms`` and ``ids`` (n,) are to be the next n spikes."""
        then_ms, then_ids = self._take(len(times_ms))
        count = len(then_ms)
        wrong = np.flatnonzero((then_ms != times_ms[:count]) | (then_ids != ids[:count]))
        if wrong.size:
            then, now = (
                f"neuron {some_ids[wrong[0]] - self._first_id} at {some_ms[wrong[0]]:g} ms"
                for some_ids, some_ms in ((then_ids, then_ms), (ids, times_ms))
            )
            raise Departure(f"spikes of {self._name} are not those that were recorded: {then}, and now {now}")

    def _take(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The next ``count`` spikes, fewer at the end."""
        while len(self._ids) < count and self._read < len(self._group["node_ids"]):
            self._read_on()
        taken = self._times_ms[:count], self._ids[:count]
        self._times_ms, self._ids = self._times_ms[count:], self._ids[count:]
        return taken

    def _read_on(self) -> None:
        rows = slice(self._read, self._read + BLOCK_SPIKES)
        ids = self._group["node_ids"][rows].astype(int) + self._first_id
        own = self._is_own(ids)
        self._ids = np.concatenate([self._ids, ids[own]])
        self._times_ms = np.concatenate([self._times_ms, self._group["timestamps"][rows][own]])
        self._read += len(ids)


def _check_populations(known: Sequence[populations.BuiltPopulation], built: Sequence[BuiltPopulation]) -> None:
    """Node ids mean the same neurons only in the same network."""
    fields = attrgetter("name", "first_id", "size", "recorded")
    then, now = ([fields(each) for each in some] for some in (known, built))
    if then != now:
        first = next(pair for pair in zip_longest(then, now) if pair[0] != pair[1])
        raise Departure(
            "the network is not the recorded one; (population, first node id, neurons, recorded neurons) "
            f"was {first[0]} and is {first[1]}"
        )
