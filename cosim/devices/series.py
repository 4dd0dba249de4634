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

from cosim.devices.base import DevicePart
from cosim.devices.devices import Device

# What older runs do not say, by the group of the dataset.
VOLTAGE = {"quantity": "voltage", "units": "mV", "kind": "leaky_integrator_alpha", "model": "iaf_psc_alpha"}
RATE = {"quantity": "rate", "units": "Hz", "kind": "poisson", "model": "poisson_generator"}
DEFAULTS = {"readout": VOLTAGE, "stimulus": RATE}


def attributes(device: Device, part: DevicePart) -> dict[str, Any]:
    """The attributes of a dataset of a device."""
    table, population = device.table, device.neurons.pattern
    kind = {"quantity": part.quantity, "units": part.unit, "kind": table.kind, "model": table.model}
    return {**kind, "population": population, **part.attributes}


def label(quantity: str, units: str) -> str:
    """For an axis or a heading: ``voltage (mV)``; mere numbers have no unit."""
    return quantity if units == "1" else f"{quantity} ({units})"


@dataclass(frozen=True)
class DeviceSeries:
    """What one source or sink exchanged: ``values`` are (steps,), or (steps, size) of one with several values.

    Those of a sink are of the end of each step, those of a source acted in it. One with several samples in a step has
    (steps, samples, size), of which the last are those of the end of the step.
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
    def samples(self) -> int:
        """In each step."""
        return self.values.shape[1] if self.values.ndim == 3 else 1

    @property
    def rows(self) -> np.ndarray:
        """``values`` with a row for each sample, (steps x samples,) or (steps x samples, size)."""
        return self.values.reshape(-1, self.values.shape[2]) if self.values.ndim == 3 else self.values

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Each value as a column of its own, as long as `rows`: ``arm``, or ``arm[0]``, ``arm[1]``, ... of several."""
        rows = self.rows
        if rows.ndim == 1:
            return {self.name: rows}
        return {f"{self.name}[{place}]": column for place, column in enumerate(rows.T)}

    def time_ms(self, ends_ms: np.ndarray) -> np.ndarray:
        """The time of each of the `rows`, where steps end at ``ends_ms`` (steps,): samples divide a step evenly."""
        if self.samples == 1:
            return ends_ms
        starts_ms = np.concatenate([[0.0], ends_ms])[:-1, np.newaxis]
        parts = np.arange(1, self.samples + 1) / self.samples
        return (starts_ms + parts * (ends_ms[:, np.newaxis] - starts_ms)).ravel()

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
    """Quantity, unit, and the series that have both and as many samples a step; in the order in which they come."""
    groups: dict[tuple[str, str, int], list[DeviceSeries]] = {}
    for each in series:
        groups.setdefault((each.quantity, each.units, each.samples), []).append(each)
    for (quantity, units, _), members in groups.items():
        yield quantity, units, members
