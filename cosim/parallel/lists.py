# SPDX-License-Identifier: GPL-2.0-or-later
"""Spikes that brain and body exchange one by one: messages besides the two of a step, of any length.

How long they are stands in the fixed messages, where each list has its number of spikes. A rank that has none to send
sends nothing. A message holds of each list in turn all times in ms and then all numbers of neurons, float64: 16 bytes
for a spike. Spikes for sinks follow the readout, those for sources the stimulus.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from cosim.devices.devices import Device, Devices, SpikeLists
from cosim.devices.lists import by_time
from cosim.parallel.exchange import RESERVED, Exchange
from cosim.parallel.mpi import MPI
from cosim.parallel.stop import StopSign
from cosim.parallel.world import BODY_RANK, World, wait_briefly

TO_SINKS_TAG, TO_SOURCES_TAG = 11, 12


def open_exchange(world: World, devices: Devices, stop: StopSign) -> Exchange:
    """The exchange that these devices need. All ranks."""
    if any(each.table.has_list for each in chain[Device](devices.sinks, devices.sources)):
        return ListExchange(world, devices, stop)
    return Exchange(world, devices.readout_size, devices.stimulus_size, stop)


class ListExchange(Exchange):
    """An `Exchange` of which some values are numbers of spikes, with these spikes.

    ``lists`` are on the body rank those that transfer functions see, on brain ranks what the brain sends, in
    ``outgoing``, and gets, in ``sources``.
    """

    lists: SpikeLists

    def __init__(self, world: World, devices: Devices, stop: StopSign) -> None:
        super().__init__(world, devices.readout_size, devices.stimulus_size, stop)
        self.lists, self._comm = SpikeLists(devices, self.readout, self.stimulus), world.comm
        self._brains = [rank for rank in range(world.comm.size) if rank != BODY_RANK]
        self._leaving: list[MPI.Request] = []
        self._gather_values, self._share_values, self._receive_values = self.gather, self.share, self.receive
        if world.is_body:
            self.gather, self.share, self.receive = self._gather_lists, self._share_lists, self._see_lists_off
        else:
            self.gather, self.receive = self._send_lists, self._await_lists

    # The body rank's side.

    def _gather_lists(self, flush: bool = False) -> None:
        """Bring readout and spikes to the body rank; what was sent in the step that is over is taken back."""
        self._gather_values(flush)
        counts = self._readouts[:, [RESERVED + each.place for each in self.lists.sinks]].astype(int)
        messages = [np.empty(2 * count) for count in counts.sum(axis=1)]
        ways = zip(messages, self._brains, strict=True)
        coming = [self._comm.Irecv(message, rank, TO_SINKS_TAG) for message, rank in ways if len(message)]
        wait_briefly(lambda: MPI.Request.Testall(coming))
        lists = [split(message, numbers) for message, numbers in zip(messages, counts, strict=True)]
        for sink, parts in zip(self.lists.sinks, zip(*lists, strict=True), strict=True):
            sink.put(*by_time(*map(np.concatenate, zip(*parts, strict=True))))
        self.lists.go_on()

    def _share_lists(self, announce: bool = False) -> None:
        """Numbers of spikes are those of the lists, whatever else wrote to the stimulus: brain ranks wait for them."""
        for each in self.lists.sources:
            each.announce()
        self._share_values(announce)
        message = join(self.lists)
        if len(message):
            self._leaving += [self._comm.Isend(message, rank, TO_SOURCES_TAG) for rank in self._brains]

    def _see_lists_off(self) -> None:
        self._receive_values()
        self._wait_for_leaving()

    # A brain rank's side.

    def _send_lists(self, flush: bool = False) -> None:
        self._gather_values(flush)
        if len(self.lists.outgoing):
            self._leaving.append(self._comm.Isend(self.lists.outgoing, BODY_RANK, TO_SINKS_TAG))

    def _await_lists(self) -> None:
        self._receive_values()
        counts = [each.announced for each in self.lists.sources]
        message = np.empty(2 * sum(counts))
        if len(message):
            wait_briefly(self._comm.Irecv(message, BODY_RANK, TO_SOURCES_TAG).Test)
        for source, (times_ms, numbers) in zip(self.lists.sources, split(message, counts), strict=True):
            source.put(times_ms, numbers)
        self._wait_for_leaving()

    def _wait_for_leaving(self) -> None:
        if self._leaving:
            wait_briefly(lambda: MPI.Request.Testall(self._leaving))
            self._leaving.clear()


def join(lists: SpikeLists) -> np.ndarray:
    """The message for the sources; empty without spikes."""
    full = [each for each in lists.sources if len(each)]
    return np.concatenate([np.empty(0), *(part for each in full for part in (each.times_ms, each.numbers))])


def split(message: np.ndarray, counts: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Times and numbers of each list of a message; ``counts`` are their numbers of spikes. Views."""
    start = 0
    for count in counts:
        yield message[start : start + count], message[start + count : start + 2 * count]
        start += 2 * count
