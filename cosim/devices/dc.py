# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "dc"``: one constant current into all neurons of a population.

``port.amplitude_pa``, in pA, is set at the end of a step and acts in the whole of the next: the current flows
``delay_ms`` later. It holds until it is set again.

It is a NEST ``dc_generator``, which takes a new amplitude over at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from cosim.devices.generator import CurrentSource
from cosim.devices.ports import Port, Value


class DcPort(Port):
    """What a transfer function sees of it."""

    __slots__ = ()

    amplitude_pa = Value(0, doc="The current.")


class DcSource(CurrentSource):
    """A current that is constant over a step."""

    kind: Literal["dc"] = "dc"

    quantity: ClassVar[str] = "current"
    unit: ClassVar[str] = "pA"
    model: ClassVar[str] = "dc_generator"
    port: ClassVar[type[Port]] = DcPort
    parameters: ClassVar[Mapping[str, tuple[str, str]]] = MappingProxyType({"amplitude": ("current", "pA")})
