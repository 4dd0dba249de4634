# SPDX-License-Identifier: GPL-2.0-or-later
"""A kind of sink that cosim does not have: the mean rate of a population in each step."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from cosim.devices.base import Footprint, Reading, SinkTable, Site

# NEST opens a block of synapses for each neuron that a recorder listens to.
BLOCK_BYTES = 16_500


class SpikeRatePort:
    """What a transfer function sees of it."""

    __slots__ = ("_values",)

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    @property
    def rate_hz(self) -> float:
        return float(self._values[0])


class SpikeRate(SinkTable):
    """A recorder of NEST, of which the number of spikes is read."""

    kind: Literal["spike_rate"] = "spike_rate"

    quantity: ClassVar[str] = "rate"
    unit: ClassVar[str] = "Hz"
    model: ClassVar[str] = "spike_recorder"

    def make_port(self, name: str, values: np.ndarray) -> SpikeRatePort:
        return SpikeRatePort(values)

    def create(self, site: Site) -> list[Reading]:
        recorder = site.nest.Create(self.model)
        site.nest.Connect(site.neurons, recorder)
        hz = 1000 / (len(site.neurons) * site.step_ms)
        return [Reading(recorder.global_id, "n_events", scale=hz, is_count=True)]

    def footprint(self, neurons: int) -> Footprint:
        return Footprint(spread_links=neurons, more_bytes=neurons * BLOCK_BYTES)
