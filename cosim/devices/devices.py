# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources and sinks of an experiment on the populations that they found: pure data that all ranks read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Generic, TypeVar

import numpy as np

from cosim.devices.base import DevicePart, Footprint, PortSite, SinkTable, SourceTable
from cosim.devices.lists import NOTHING, ComingStep, SpikeList
from cosim.network.address import Address

Kind = TypeVar("Kind", SourceTable, SinkTable)


@dataclass(frozen=True)
class Device(Generic[Kind]):
    """One source or sink of the kind that its ``table`` says, at one population or a part of it.

    It has ``size`` values in the message of every step, which are its ``parts``. Each of its ``neurons`` stands for
    ``scale`` neurons of the full sheet, of which the brain may be a patch. ``source`` is where a projection comes from
    that a sink looks at.
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
    parts: tuple[DevicePart, ...] = ()
    source: Address | None = None
    group: str = ""
    """The name of the group that it belongs to, whose members follow each other."""

    @property
    def port(self) -> str:
        """The name by which transfer functions know it, or its group."""
        return self.group or self.name

    @property
    def datasets(self) -> dict[str, DevicePart]:
        """Its parts by the names that they have in ``run.h5`` and in results."""
        parts = self.parts or self.table.parts(1, 1.0)
        return {f"{self.name}.{each.name}" if each.name else self.name: each for each in parts}

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

    def settle(self, readout: np.ndarray) -> Callable[[], None] | None:
        """What makes of the sums in ``readout`` what ports and results show; None where they show the sums.

        Body rank, once; what it returns is called whenever the sums have come.
        """
        own = [
            partial(each.table.settle, values)
            for each, values in _places(self.sinks, readout)
            if type(each.table).settle is not SinkTable.settle
        ]
        return partial(_call_all, own) if own else None

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


def datasets(devices: Sequence[Device]) -> dict[str, tuple[Device, DevicePart]]:
    """All parts of some sources or sinks in the order of the message, by the names of their datasets."""
    return {name: (each, part) for each in devices for name, part in each.datasets.items()}


def places(devices: Sequence[Device[Kind]], values: np.ndarray) -> dict[str, np.ndarray]:
    """The place of each device in its message, by name, as a view."""
    return {each.name: place for each, place in _places(devices, values)}


def make_ports(
    devices: Devices, readout: np.ndarray, stimulus: np.ndarray, lists: SpikeLists | None = None
) -> dict[str, object]:
    """The ports of all devices and groups, by name, as views into the messages of the exchange. Body rank."""
    lists = lists or SpikeLists(devices, readout, stimulus)
    return {
        **dict(_ports(devices.sinks, readout, lists.sinks, lists.coming)),
        **dict(_ports(devices.sources, stimulus, lists.sources, lists.coming)),
    }


def _ports(
    devices: Sequence[Device], values: np.ndarray, lists: Sequence[SpikeList], coming: ComingStep
) -> Iterator[tuple[str, object]]:
    by_name, start = {each.name: each for each in lists}, 0
    for name, members in groupby(devices, attrgetter("port")):
        group = list(members)
        first, end = group[0], start + sum(each.size for each in group)
        if first.group:
            populations = [each.neurons.pattern for each in group]
            yield name, first.table.make_group_port(name, values[start:end], populations)
        else:
            site = PortSite(first.parts, first.numbers, coming, by_name.get(name))
            yield name, first.table.open_port(name, values[start:end], site)
        start = end


def _lists(devices: Sequence[Device], values: np.ndarray) -> Iterator[SpikeList]:
    start = 0
    for each in devices:
        if each.table.has_list:
            yield SpikeList(each.name, start, values[start : start + 1])
        start += each.size


def _places(devices: Sequence[Device[Kind]], values: np.ndarray) -> Iterator[tuple[Device[Kind], np.ndarray]]:
    """Each with its values in the message, views."""
    start = 0
    for each in devices:
        yield each, values[start : start + each.size]
        start += each.size


def _call_all(functions: Sequence[Callable[[], None]]) -> None:
    for each in functions:
        each()
