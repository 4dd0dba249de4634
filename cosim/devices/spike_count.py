# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "spike_count"``: how many spikes a population had, exactly, in each coupling step or in a sliding window.

Transfer functions read it at the end of every coupling step: the spikes of the last ``window_ms`` up to then, with
times t in end - window < t <= end. Before so much time has passed the window holds what there was. Nothing is created
in NEST: nestlink counts where the neurons send spikes (``taps.cpp``), at no cost for neurons that are silent.

The mean rate of a neuron is count / (neurons window). It is that of the neurons which are there: a patch of a larger
sheet has fewer of them, at the same rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from cosim.devices.base import TAP_BYTES, Footprint, PortSite, SinkTable, Site, Tapping
from cosim.timegrid import is_multiple

MS_PER_S = 1000.0


class SpikeCountPort:
    """What a transfer function sees of the spikes of a population; 0 before the first step."""

    __slots__ = ("_neuron_seconds", "_values", "name")

    def __init__(self, name: str, values: np.ndarray, neuron_seconds: float) -> None:
        self.name, self._values, self._neuron_seconds = name, values, neuron_seconds

    @property
    def count(self) -> int:
        """Spikes of all neurons in the window."""
        return int(self._values[0])

    @property
    def rate_hz(self) -> float:
        """Mean rate of a neuron in the window; it starts low with a window that begins before the run."""
        return float(self._values[0]) / self._neuron_seconds


class SpikeCount(SinkTable):
    """Counts the spikes of a population."""

    kind: Literal["spike_count"] = "spike_count"
    window_ms: float | None = Field(None, gt=0, description="a multiple of the coupling step, which is the default")

    quantity: ClassVar[str] = "spike count"
    unit: ClassVar[str] = "1"
    model: ClassVar[str] = "none"

    def problems(self, step_ms: float, resolution_ms: float) -> Iterator[str]:
        """A window holds whole steps."""
        if self.window_ms is not None and not is_multiple(self.window_ms, step_ms):
            yield f"window_ms = {self.window_ms}: must be a multiple of clock.coupling_step_ms = {step_ms}"

    def open_port(self, name: str, values: np.ndarray, site: PortSite) -> SpikeCountPort:
        """With ``count`` and ``rate_hz``."""
        window_ms = self.window_ms or site.coming.step_ms
        return SpikeCountPort(name, values, len(site.numbers) * window_ms / MS_PER_S)

    def create(self, site: Site) -> list[Tapping]:
        """Nothing in NEST."""
        window_steps = round((self.window_ms or site.step_ms) / site.step_ms)
        return [Tapping(np.array(site.neurons.tolist()), site.numbers, window_steps)]

    def footprint(self, neurons: int) -> Footprint:
        """A tap for each neuron."""
        return Footprint(more_bytes=neurons * TAP_BYTES)
