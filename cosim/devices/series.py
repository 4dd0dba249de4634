# SPDX-License-Identifier: GPL-2.0-or-later
"""What sources and sinks exchanged, with what it is: as ``run.h5`` holds it, for all who read a run.

A dataset below ``exchange/readout`` or ``exchange/stimulus`` has the attributes ``units``, ``quantity``, ``kind``,
``population`` and ``model`` (NEST's, of the device).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cosim.devices.devices import Device

# What older runs do not say, by the group of the dataset.
VOLTAGE = {"quantity": "voltage", "units": "mV", "kind": "leaky_integrator_alpha", "model": "iaf_psc_alpha"}
RATE = {"quantity": "rate", "units": "Hz", "kind": "poisson", "model": "poisson_generator"}
DEFAULTS = {"readout": VOLTAGE, "stimulus": RATE}


def attributes(device: Device) -> dict[str, str]:
    """The attributes of a device's dataset."""
    table, population = device.table, device.neurons.pattern
    kind = {"quantity": table.quantity, "units": table.unit, "kind": table.kind, "model": table.model}
    return {**kind, "population": population}


def label(quantity: str, units: str) -> str:
    """For an axis or a heading: ``voltage (mV)``; mere numbers have no unit."""
    return quantity if units == "1" else f"{quantity} ({units})"


@dataclass(frozen=True)
class DeviceSeries:
    """What one source or sink exchanged: ``values`` are (steps,), or (steps, size) of one with several values.

    Those of a sink are of the end of each step, those of a source acted in it.
    """

    name: str
    values: np.ndarray
    quantity: str
    units: str
    kind: str
    model: str
    population: str = ""

    @classmethod
    def of(cls, group: str, name: str, values: np.ndarray, known: Mapping[str, Any]) -> DeviceSeries:
        """That of a dataset ``name`` in ``exchange/<group>`` with the attributes ``known``."""
        names = (*DEFAULTS[group], "population")
        return cls(name, values, **DEFAULTS[group] | {each: str(known[each]) for each in names if each in known})

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Each value as a column of its own, (steps,): ``arm``, or ``arm[0]``, ``arm[1]``, ... of several."""
        if self.values.ndim == 1:
            return {self.name: self.values}
        return {f"{self.name}[{place}]": column for place, column in enumerate(self.values.T)}

    @property
    def label(self) -> str:
        """Quantity and unit for an axis."""
        return label(self.quantity, self.units)

    @property
    def key(self) -> str:
        """Quantity and unit as in the keys of a configuration: ``voltage_mv``."""
        words = self.quantity if self.units == "1" else f"{self.quantity}_{self.units}"
        return re.sub(r"\W+", "_", words).lower()


def by_quantity(series: Iterable[DeviceSeries]) -> Iterator[tuple[str, str, list[DeviceSeries]]]:
    """Quantity, unit, and the series that have both, in the order in which they come first."""
    groups: dict[tuple[str, str], list[DeviceSeries]] = {}
    for each in series:
        groups.setdefault((each.quantity, each.units), []).append(each)
    for (quantity, units), members in groups.items():
        yield quantity, units, members
