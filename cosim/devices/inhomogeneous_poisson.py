# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "inhomogeneous_poisson"``: as ``poisson``, with rates that change within a step.

``port.rates_hz``, in Hz, has a rate for each ``interval_ms`` of the coupling step that comes: an array of (coupling
step / interval) values, the first for the time from its start on. It is set at the end of a step, as a whole, and acts
in the next, ``delay_ms`` later; each following step has the same course of rates until it is set again. A number
stands for the same rate all along.

It is a NEST ``inhomogeneous_poisson_generator``, which draws an independent train for each of its connections. It is
told only of rates that differ from the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from cosim.devices.base import DevicePart, Setting, Site, Way
from cosim.devices.generator import SpikeSource
from cosim.devices.ports import Port, Values
from cosim.timegrid import is_multiple


class InhomogeneousPoissonPort(Port):
    """What a transfer function sees of it."""

    __slots__ = ()

    rates_hz = Values(least=0.0, doc="Rates in the intervals of the coming step; it is set as a whole.")


class InhomogeneousPoissonSource(SpikeSource):
    """Poisson trains at rates that change within a step."""

    kind: Literal["inhomogeneous_poisson"] = "inhomogeneous_poisson"
    interval_ms: float = Field(gt=0, description="for which a rate holds; divides the coupling step")

    quantity: ClassVar[str] = "rate"
    unit: ClassVar[str] = "Hz"
    model: ClassVar[str] = "inhomogeneous_poisson_generator"
    port: ClassVar[type[Port]] = InhomogeneousPoissonPort

    def problems(self, step_ms: float, resolution_ms: float) -> Iterator[str]:
        """Intervals are on NEST's time grid and fill the coupling step."""
        yield from super().problems(step_ms, resolution_ms)
        if not is_multiple(self.interval_ms, resolution_ms):
            yield f"interval_ms = {self.interval_ms}: must be a multiple of clock.resolution_ms = {resolution_ms}"
        if not is_multiple(step_ms, self.interval_ms):
            yield f"interval_ms = {self.interval_ms}: must divide clock.coupling_step_ms = {step_ms}"

    def intervals(self, step_ms: float) -> int:
        """How many there are in a step."""
        return round(step_ms / self.interval_ms)

    def parts(self, neurons: int, step_ms: float) -> tuple[DevicePart, ...]:
        """A rate for each interval."""
        number = self.intervals(step_ms)
        return (DevicePart("", (number,) if number > 1 else (), self.quantity, self.unit),)

    def start_values(self) -> dict[str, Any]:
        """NEST's default: no rates, no spikes."""
        return {}

    def settings(self, node_id: int, nodes: int, site: Site) -> list[Setting]:
        """The rates of a step together."""
        return [Setting(node_id, "rate_values", nodes, Way.RATES, self.intervals(site.step_ms))]
