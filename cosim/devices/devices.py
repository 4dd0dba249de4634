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

from cosim.devices.base import DevicePart, Footprint, SinkTable, SourceTable
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
    """All sources and sinks of an experiment, in the order of the messages, and the neurons that are recorded."""

    sources: tuple[Device[SourceTable], ...]
    sinks: tuple[Device[SinkTable], ...]
    recorded: tuple[Address, ...]

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


def datasets(devices: Sequence[Device]) -> dict[str, tuple[Device, DevicePart]]:
    """All parts of some sources or sinks in the order of the message, by the names of their datasets."""
    return {name: (each, part) for each in devices for name, part in each.datasets.items()}


def make_ports(devices: Devices, readout: np.ndarray, stimulus: np.ndarray) -> dict[str, object]:
    """The ports of all devices, by name, as views into the messages of the exchange. Body rank."""
    return {**dict(_ports(devices.sinks, readout)), **dict(_ports(devices.sources, stimulus))}


def _ports(devices: Sequence[Device], values: np.ndarray) -> Iterator[tuple[str, object]]:
    start = 0
    for name, members in groupby(devices, attrgetter("port")):
        group = list(members)
        end = start + sum(each.size for each in group)
        yield name, _port(name, group, values[start:end])
        start = end


def _port(name: str, group: Sequence[Device], values: np.ndarray) -> object:
    """The port of one device, or of all of a group."""
    first = group[0]
    if first.group:
        return first.table.make_group_port(name, values, [each.neurons.pattern for each in group])
    return first.table.make_shaped_port(name, values, first.parts)


def _places(devices: Sequence[Device[Kind]], values: np.ndarray) -> Iterator[tuple[Device[Kind], np.ndarray]]:
    """Each with its values in the message, views."""
    start = 0
    for each in devices:
        yield each, values[start : start + each.size]
        start += each.size


def _call_all(functions: Sequence[Callable[[], None]]) -> None:
    for each in functions:
        each()
