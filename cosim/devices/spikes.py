# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "spikes"``: the spikes of a population themselves, times and neurons.

Transfer functions read them at the end of every coupling step: those of exactly the step that is over, with times t in
start < t <= end of the step, sorted by time and then neuron, whatever the split into ranks. Nothing is created in NEST:
nestlink notes the spikes where the neurons send them (``taps.cpp``), at no cost for neurons that are silent.

The number of spikes comes with the readout of all sinks. Ranks that have some send them in a message of their own, 16
bytes for a spike.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from cosim.devices.base import TAP_BYTES, Footprint, PortSite, SinkTable, Site, Tapping
from cosim.devices.lists import SpikeList


class SpikesPort:
    """What a transfer function sees of the spikes of a population; nothing before the first step."""

    __slots__ = ("_spikes", "name")

    def __init__(self, name: str, spikes: SpikeList) -> None:
        self.name, self._spikes = name, spikes

    @property
    def times_ms(self) -> np.ndarray:
        """Times of the spikes of the last coupling step, (count,) float64, in ascending order."""
        return self._spikes.times_ms

    @property
    def node_ids(self) -> np.ndarray:
        """Number of the neuron of each spike, (count,) int64, counted from 0 in its population as in ``spikes.h5``."""
        return self._spikes.numbers.astype(np.int64)

    @property
    def count(self) -> int:
        """How many spikes these are."""
        return len(self._spikes)


class SpikesSink(SinkTable):
    """Listens to the neurons of a population."""

    kind: Literal["spikes"] = "spikes"

    quantity: ClassVar[str] = "spike count"
    unit: ClassVar[str] = "1"
    model: ClassVar[str] = "none"
    has_list: ClassVar[bool] = True

    def open_port(self, name: str, values: np.ndarray, site: PortSite) -> SpikesPort:
        """With ``times_ms``, ``node_ids`` and ``count``."""
        assert site.spikes is not None
        return SpikesPort(name, site.spikes)

    def create(self, site: Site) -> list[Tapping]:
        """Nothing in NEST."""
        return [Tapping(np.array(site.neurons.tolist()), site.numbers, window_steps=0)]

    def footprint(self, neurons: int) -> Footprint:
        """A tap for each neuron."""
        return Footprint(more_bytes=neurons * TAP_BYTES)
