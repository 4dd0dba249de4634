# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "ac"``: one sinusoidal current into all neurons of a population.

    I(t) = offset + amplitude sin(2 pi frequency t + phase)

with the time t of the whole run. All four are set at the end of a step, as ``port.amplitude_pa``, ``port.offset_pa``,
``port.frequency_hz`` and ``port.phase_deg``, act in the whole of the next, ``delay_ms`` later, and hold until they are
set again. At first all are 0.

Because t is that of the run, another amplitude or offset leaves the phase alone. Another frequency does not: the
current goes on as if it had had that frequency from the start of the run. For a current without a jump change the phase
by -360 (new - old frequency) t as well.

It is a NEST ``ac_generator``. NEST steps its oscillator on in every resolution step and computes it anew when a
parameter is set; both agree to rounding, so that a change that changes nothing changes no spike.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from cosim.devices.generator import CurrentSource
from cosim.devices.ports import Port, Value


class AcPort(Port):
    """What a transfer function sees of it."""

    __slots__ = ()

    amplitude_pa = Value(0, doc="Half of the way from the lowest to the highest current.")
    offset_pa = Value(1, doc="Mean of the current.")
    frequency_hz = Value(2, least=0.0, doc="Periods in a second.")
    phase_deg = Value(3, doc="At the start of the run.")


class AcSource(CurrentSource):
    """A sinusoidal current."""

    kind: Literal["ac"] = "ac"

    quantity: ClassVar[str] = "current"
    unit: ClassVar[str] = "pA"
    model: ClassVar[str] = "ac_generator"
    port: ClassVar[type[Port]] = AcPort
    parameters: ClassVar[Mapping[str, tuple[str, str]]] = MappingProxyType(
        {
            "amplitude": ("current", "pA"),
            "offset": ("current", "pA"),
            "frequency": ("frequency", "Hz"),
            "phase": ("phase", "deg"),
        }
    )
