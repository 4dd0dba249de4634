# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "current_vector"``: a current of its own into each neuron of a population, such as the pixels of a retina.

``port.amplitudes_pa``, in pA, an array with a value for each neuron in the order of the population, is set at the end
of a step, as a whole, and acts in the whole of the next: the currents flow ``delay_ms`` later. They hold until they are
set again; a number stands for the same current into all. It is as a NEST ``dc_generator`` for each neuron.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from cosim.devices.ports import Port, Values
from cosim.devices.vector import VectorSource


class CurrentVectorPort(Port):
    """What a transfer function sees of it."""

    __slots__ = ()

    amplitudes_pa = Values(doc="Current into each neuron; it is set as a whole.")


class CurrentVector(VectorSource):
    """A current for each neuron."""

    kind: Literal["current_vector"] = "current_vector"
    weight: float = Field(1.0, description="a factor for the currents")

    quantity: ClassVar[str] = "current"
    unit: ClassVar[str] = "pA"
    model: ClassVar[str] = "cosim_currents"
    port: ClassVar[type[Port]] = CurrentVectorPort
