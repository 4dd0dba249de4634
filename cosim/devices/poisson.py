# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "poisson"``: every neuron of a population gets a Poisson train of its own, all at one rate.

``port.rate_hz``, in Hz, is set at the end of a step and acts in the whole of the next: spikes come to the neurons
``delay_ms`` later. It holds until it is set again.

It is a NEST ``poisson_generator``, which draws an independent train for each of its connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from cosim.devices.generator import SpikeSource
from cosim.devices.ports import Port, Value


class PoissonPort(Port):
    """What a transfer function sees of a Poisson source; a rate holds until it is set again."""

    __slots__ = ()

    rate_hz = Value(0, least=0.0, doc="Rate of the train that each neuron of the population gets.")


class PoissonSource(SpikeSource):
    """Poisson trains into a population: one independent train for every neuron, all at one rate."""

    kind: Literal["poisson"] = "poisson"

    quantity: ClassVar[str] = "rate"
    unit: ClassVar[str] = "Hz"
    model: ClassVar[str] = "poisson_generator"
    port: ClassVar[type[Port]] = PoissonPort
    parameters: ClassVar[Mapping[str, tuple[str, str]]] = MappingProxyType({"rate": ("rate", "Hz")})
