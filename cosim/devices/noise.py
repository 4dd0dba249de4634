# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "noise"``: a noisy current into each neuron of a population, Gaussian and independent of all others.

Every ``interval_ms``, counted from the start of the run, a current of its own is drawn for each neuron, with the
``port.mean_pa`` and ``port.std_pa`` of that time. Both are set at the end of a step, act from the next draw on, in the
next step, ``delay_ms`` later, and hold until they are set again. An interval that divides the coupling step is
therefore as good as any: the first draw is at the start of the step.

The same standard deviation moves neurons the more the longer the interval is: what counts for the membrane potential is
std^2 times the interval.

It is a NEST ``noise_generator``, whose hook draws nothing and leaves the time of the next draw alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from cosim.devices.generator import CurrentSource
from cosim.devices.ports import Port, Value
from cosim.timegrid import is_multiple


class NoisePort(Port):
    """What a transfer function sees of it."""

    __slots__ = ()

    mean_pa = Value(0, doc="Mean of the currents that are drawn.")
    std_pa = Value(1, least=0.0, doc="Their standard deviation.")


class NoiseSource(CurrentSource):
    """Independent noise for each neuron."""

    kind: Literal["noise"] = "noise"
    interval_ms: float = Field(1.0, gt=0, description="from draw to draw; a multiple of the resolution")

    quantity: ClassVar[str] = "current"
    unit: ClassVar[str] = "pA"
    model: ClassVar[str] = "noise_generator"
    port: ClassVar[type[Port]] = NoisePort
    parameters: ClassVar[Mapping[str, tuple[str, str]]] = MappingProxyType(
        {"mean": ("current", "pA"), "std": ("current", "pA")}
    )

    def problems(self, step_ms: float, resolution_ms: float) -> Iterator[str]:
        """Draws are on NEST's time grid."""
        yield from super().problems(step_ms, resolution_ms)
        if not is_multiple(self.interval_ms, resolution_ms):
            yield f"interval_ms = {self.interval_ms}: must be a multiple of clock.resolution_ms = {resolution_ms}"

    def start_values(self) -> dict[str, Any]:
        """Silent, with the interval."""
        return {**super().start_values(), "dt": self.interval_ms}
