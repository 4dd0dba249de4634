# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "poisson"``: every neuron of a population gets a Poisson train of its own, all at one rate.

It is a NEST ``poisson_generator``, which draws an independent train for each of its connections.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np

from cosim.devices.base import Setting, Site, SourceTable


class PoissonPort:
    """What a transfer function sees of a Poisson source; a rate holds until it is set again."""

    __slots__ = ("_values", "name")

    def __init__(self, name: str, values: np.ndarray) -> None:
        self.name, self._values = name, values

    @property
    def rate_hz(self) -> float:
        """Rate of the train that each neuron of the population gets."""
        return float(self._values[0])

    @rate_hz.setter
    def rate_hz(self, rate_hz: float) -> None:
        if not 0 <= rate_hz < math.inf:
            raise ValueError(f"{self.name}.rate_hz = {rate_hz}: must be a finite number, 0 or more")
        self._values[0] = rate_hz


class PoissonSource(SourceTable):
    """Poisson trains into a population: one independent train for every neuron, all at one rate."""

    kind: Literal["poisson"] = "poisson"

    quantity: ClassVar[str] = "rate"
    unit: ClassVar[str] = "Hz"
    model: ClassVar[str] = "poisson_generator"

    def make_port(self, name: str, values: np.ndarray) -> PoissonPort:
        """With ``rate_hz``."""
        return PoissonPort(name, values)

    def create(self, site: Site) -> list[Setting]:
        """A generator, silent at first."""
        generator = site.nest.Create(self.model, params={"rate": 0.0})
        self.connect(site, generator)
        return [Setting(generator.global_id, "rate")]
