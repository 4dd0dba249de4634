# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources and sinks of an experiment on the populations that they found: pure data that all ranks read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from cosim.devices.base import Footprint, SinkTable, SourceTable
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

    def footprints(self, sizes: Mapping[str, int]) -> list[Footprint]:
        """What each takes in NEST, sources first; ``sizes`` are the neurons of each population."""
        sources = [each.footprint(sizes) for each in self.sources]
        return sources + [each.footprint(sizes) for each in self.sinks]


def make_ports(devices: Devices, readout: np.ndarray, stimulus: np.ndarray) -> dict[str, object]:
    """The ports of all devices, by name, as views into the messages of the exchange. Body rank."""
    return {**dict(_ports(devices.sinks, readout)), **dict(_ports(devices.sources, stimulus))}


def places(devices: Sequence[Device], values: np.ndarray) -> dict[str, np.ndarray]:
    """The place of each device in its message, by name, as a view."""
    ends = np.cumsum([each.size for each in devices], dtype=int)
    return {each.name: values[end - each.size : end] for each, end in zip(devices, ends, strict=True)}


def _ports(devices: Sequence[Device], values: np.ndarray) -> Iterator[tuple[str, object]]:
    for each, place in zip(devices, places(devices, values).values(), strict=True):
        yield each.name, each.table.make_port(each.name, place)
