# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "rate_vector"``: a Poisson train into each neuron of a population, each at a rate of its own.

``port.rates_hz``, in Hz, an array with a value for each neuron in the order of the population, is set at the end of a
step, as a whole, and acts in the whole of the next: spikes come ``delay_ms`` later. Rates hold until they are set
again; a number stands for the same rate for all. It is as a NEST ``poisson_generator`` for each neuron.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from cosim.devices.ports import Port, Values
from cosim.devices.vector import VectorSource


class RateVectorPort(Port):
    """What a transfer function sees of it."""

    __slots__ = ()

    rates_hz = Values(least=0.0, doc="Rate of the train that each neuron gets; it is set as a whole.")


class RateVector(VectorSource):
    """A Poisson train for each neuron."""

    kind: Literal["rate_vector"] = "rate_vector"

    quantity: ClassVar[str] = "rate"
    unit: ClassVar[str] = "Hz"
    model: ClassVar[str] = "cosim_rates"
    port: ClassVar[type[Port]] = RateVectorPort
