# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources and sinks of an experiment on the populations that they found: pure data that all ranks read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from cosim.devices.base import Footprint, PortSite, SinkTable, SourceTable
from cosim.devices.lists import NOTHING, ComingStep, SpikeList
from cosim.network.address import Address

Kind = TypeVar("Kind", SourceTable, SinkTable)


@dataclass(frozen=True)
class Device(Generic[Kind]):
    """One source or sink of the kind that its ``table`` says, at one population or a part of it.

    It has ``size`` values in the message of every step. Each of its ``neurons`` stands for ``scale`` neurons of the
    full sheet, of which the brain may be a patch.
    """

    name: str
    neurons: Address
    table: Kind
    size: int = 1
    scale: float = 1.0
    numbers: range = range(1)
    """The numbers of these neurons in their population."""
    is_recorded: bool = False
    """Whether the spikes of all of them are recorded."""

    def footprint(self, sizes: Mapping[str, int]) -> Footprint:
        """What it takes in NEST; ``sizes`` are the neurons of each population."""
        return self.table.footprint(self.neurons.size(sizes[self.neurons.pattern]))


@dataclass(frozen=True)
class Devices:
    """All sources and sinks of an experiment, in the order of the messages, and the neurons that are recorded.

    They exchange every ``step_ms``; NEST's time grid is ``resolution_ms``.
    """

    sources: tuple[Device[SourceTable], ...]
    sinks: tuple[Device[SinkTable], ...]
    recorded: tuple[Address, ...]
    step_ms: float = 1.0
    resolution_ms: float = 0.1

    @property
    def stimulus_size(self) -> int:
        """Number of values that the body rank sends in every step."""
        return sum(each.size for each in self.sources)

    @property
    def readout_size(self) -> int:
        """Number of values that it gets."""
        return sum(each.size for each in self.sinks)

    def footprints(self, sizes: Mapping[str, int]) -> list[Footprint]:
        """What each takes in NEST, sources first; ``sizes`` are the neurons of each population."""
        sources = [each.footprint(sizes) for each in self.sources]
        return sources + [each.footprint(sizes) for each in self.sinks]


class SpikeLists:
    """The lists of all devices that have one, in the order of the messages.

    ``readout`` and ``stimulus`` are the values of the messages, in which their numbers of spikes stand.

    Attributes:
        sinks: of the step that is over.
        sources: of the step that comes; those of the body rank are cleared when it is over.
        acted: what the sources sent in the step that is over, times and numbers of each. Body rank.
        outgoing: the message to the sinks, see `cosim.parallel.lists`. Brain ranks.
        coming: the step that comes. Body rank.
    """

    def __init__(self, devices: Devices, readout: np.ndarray, stimulus: np.ndarray) -> None:
        self.sinks = list(_lists(devices.sinks, readout))
        self.sources = list(_lists(devices.sources, stimulus))
        self.acted = [(NOTHING, NOTHING)] * len(self.sources)
        self.outgoing = NOTHING
        self.coming = ComingStep(devices.step_ms, devices.resolution_ms)

    def go_on(self) -> None:
        """A step is over: what was sent has acted, and is not sent again."""
        self.acted = [(each.times_ms, each.numbers) for each in self.sources]
        for each in self.sources:
            each.clear()
        self.coming.steps_done += 1


def places(devices: Sequence[Device], values: np.ndarray) -> dict[str, np.ndarray]:
    """The place of each device in its message, by name, as a view."""
    return {each.name: values[place : place + each.size] for each, place in _places(devices)}


def make_ports(
    devices: Devices, readout: np.ndarray, stimulus: np.ndarray, lists: SpikeLists | None = None
) -> dict[str, object]:
    """The ports of all devices, by name, as views into the messages of the exchange and their lists. Body rank."""
    lists = lists or SpikeLists(devices, readout, stimulus)
    return {
        **dict(_ports(devices.sinks, readout, lists.sinks, lists.coming)),
        **dict(_ports(devices.sources, stimulus, lists.sources, lists.coming)),
    }


def _ports(
    devices: Sequence[Device], values: np.ndarray, lists: Sequence[SpikeList], coming: ComingStep
) -> Iterator[tuple[str, object]]:
    by_place = {each.place: each for each in lists}
    for each, place in _places(devices):
        site = PortSite(each.numbers, coming, by_place.get(place))
        yield each.name, each.table.open_port(each.name, values[place : place + each.size], site)


def _lists(devices: Sequence[Device], values: np.ndarray) -> Iterator[SpikeList]:
    for each, place in _places(devices):
        if each.table.has_list:
            yield SpikeList(each.name, place, values[place : place + 1])


def _places(devices: Sequence[Device]) -> Iterator[tuple[Device, int]]:
    """Each device with the place of its first value in the message."""
    start = 0
    for each in devices:
        yield each, start
        start += each.size
