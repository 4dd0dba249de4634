# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "recorded_variables"``: variables of the neurons of a population, sampled by a NEST ``multimeter``.

With an interval of 5 ms and coupling steps of 20 ms there are four samples in a step: those of 5, 10, 15 and 20 ms
after its start. Transfer functions read them when the step is over. The sample of a time is what the neuron holds at
that time, the number that NEST's multimeter writes with that time; so the last one is of the end of the step, the time
at which the functions run. NEST takes none at the start of a run.

An interval that is longer than a step must be a multiple of it: then there is one sample, the last that was taken, and
NaN before the first.

``run.h5`` has a dataset for each variable, ``exchange/readout/<sink>.<variable>``, of (steps, samples, neurons); see
`cosim.devices.series.DeviceSeries.time_ms` for its times. Each sample travels to the body rank in the message of every
step, 8 bytes for each neuron and variable: choose some neurons of a large population, such as
``populations = "E[0:100]"``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from cosim.devices.base import DevicePart, Footprint, PortSite, Samples, SinkTable, Site
from cosim.timegrid import is_multiple

# NEST's names of variables by what they begin with, with quantity and unit.
QUANTITIES = {
    "V_m": ("membrane potential", "mV"),
    "V_th": ("threshold", "mV"),
    "g_": ("conductance", "nS"),
    "I_": ("current", "pA"),
}
# What a neuron keeps for a multimeter: a logger with the samples of two of NEST's slices, ten each.
LOGGER_BYTES = 1200


class RecordedVariablesPort:
    """What a transfer function sees of recorded variables."""

    __slots__ = ("_values", "name", "variables")

    def __init__(self, name: str, values: np.ndarray, variables: tuple[str, ...]) -> None:
        self.name, self._values, self.variables = name, values, variables

    @property
    def values(self) -> np.ndarray:
        """(samples, neurons, variables) of the last coupling step, in NEST's units; a view that must not be changed."""
        return self._values

    def __getitem__(self, variable: str) -> np.ndarray:
        """Of one variable such as ``V_m``, (samples, neurons)."""
        if variable not in self.variables:
            raise KeyError(f"{self.name}[{variable!r}]: must be one of {', '.join(self.variables)}")
        return self._values[:, :, self.variables.index(variable)]


class RecordedVariables(SinkTable):
    """Variables of neurons, sampled by a multimeter; see the head of its file for the times."""

    kind: Literal["recorded_variables"] = "recorded_variables"
    variables: tuple[str, ...] = Field(("V_m",), min_length=1, description="NEST's names, such as V_m, g_ex, g_in")
    interval_ms: float = Field(1.0, gt=0, description="between samples; divides the coupling step, or a multiple of it")

    quantity: ClassVar[str] = "variables"
    unit: ClassVar[str] = "1"
    model: ClassVar[str] = "multimeter"

    def problems(self, step_ms: float, resolution_ms: float) -> Iterator[str]:
        """An interval that is off the grid, variables that are named twice."""
        interval_ms = self.interval_ms
        if not is_multiple(interval_ms, resolution_ms):
            yield f"interval_ms = {interval_ms}: must be a multiple of clock.resolution_ms = {resolution_ms}"
        elif not (is_multiple(step_ms, interval_ms) or is_multiple(interval_ms, step_ms)):
            yield f"interval_ms = {interval_ms}: must divide clock.coupling_step_ms = {step_ms}, or be a multiple of it"
        for name in dict.fromkeys(name for name in self.variables if self.variables.count(name) > 1):
            yield f"variables = {list(self.variables)}: {name} is there twice"

    def samples(self, step_ms: float) -> int:
        """In each step."""
        return max(1, round(step_ms / self.interval_ms))

    def parts(self, neurons: int, step_ms: float) -> tuple[DevicePart, ...]:
        """A dataset for each variable."""
        shape = (self.samples(step_ms), neurons)
        more = {"interval_ms": self.interval_ms}
        return tuple(DevicePart(name, shape, *_quantity(name), more) for name in self.variables)

    def open_port(self, name: str, values: np.ndarray, site: PortSite) -> RecordedVariablesPort:
        """With ``values`` and ``port["V_m"]``."""
        view = np.moveaxis(values.reshape(len(site.parts), *site.parts[0].shape), 0, -1)
        view.flags.writeable = False
        return RecordedVariablesPort(name, view, self.variables)

    def create(self, site: Site) -> list[Samples]:
        """A multimeter on all neurons."""
        assert site.make_multimeter is not None
        node_id = site.make_multimeter(site.neurons, self.interval_ms, self.variables)
        neurons = np.array(site.neurons.tolist(), dtype=np.int64)
        return [Samples(node_id, neurons, self.interval_ms, self.samples(site.step_ms), len(self.variables))]

    def footprint(self, neurons: int) -> Footprint:
        """A multimeter with a connection to each neuron, and a logger in each neuron."""
        return Footprint(generators=1, spread_links=neurons, more_bytes=neurons * LOGGER_BYTES)


def _quantity(variable: str) -> tuple[str, str]:
    """What a variable of NEST is, and its unit; what is not known is called as NEST calls it, without a unit."""
    found = (known for start, known in QUANTITIES.items() if variable.startswith(start))
    return next(found, (variable, "1"))
