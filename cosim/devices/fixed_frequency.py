# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "fixed_frequency"``: regular spikes, the same for all neurons of a population.

``port.rate_hz``, in Hz, is set at the end of a step, acts in the whole of the next and holds until it is set again.
There is a spike whenever the integral of the rate over time reaches a whole number: at a constant rate from the start
the first one comes after 1 / rate, each next one 1 / rate later. A new rate lets the phase be: half an interval at the
old rate and half an interval at the new one make one spike; at a rate of 0 it stands still. A spike that falls between
two points of NEST's time grid comes at the second; such roundings do not add up. It comes to the neurons ``delay_ms``
later. There is no upper limit: several spikes in one resolution step arrive together.

It is a NEST ``spike_generator`` whose times are computed on all brain ranks alike. The Neurorobotics Platform's
``fixed_frequency`` drove an integrate-and-fire neuron with a current computed from the rate, which gave about this
rate, and cut it off at a hundredth of what the refractory time of the neuron allowed; the rate here is exact.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from cosim.devices.base import DevicePart, Setting, Site, Way
from cosim.devices.generator import SpikeSource
from cosim.devices.ports import Port, Value


class FixedFrequencyPort(Port):
    """What a transfer function sees of it."""

    __slots__ = ()

    rate_hz = Value(0, least=0.0, doc="Rate of the spikes that each neuron gets.")


class FixedFrequencySource(SpikeSource):
    """Regular spikes at a rate."""

    kind: Literal["fixed_frequency"] = "fixed_frequency"

    quantity: ClassVar[str] = "rate"
    unit: ClassVar[str] = "Hz"
    model: ClassVar[str] = "spike_generator"
    port: ClassVar[type[Port]] = FixedFrequencyPort

    def size(self, neurons: int) -> int:
        """The rate."""
        return 1

    def parts(self, neurons: int, step_ms: float) -> tuple[DevicePart, ...]:
        """The rate."""
        return (DevicePart("", (), self.quantity, self.unit),)

    def start_values(self) -> dict[str, Any]:
        """No spikes."""
        return {}

    def settings(self, node_id: int, nodes: int, site: Site) -> list[Setting]:
        """The rate, of which times are made."""
        return [Setting(node_id, "spike_times", nodes, Way.REGULAR_SPIKES)]
