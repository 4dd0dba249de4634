# SPDX-License-Identifier: GPL-2.0-or-later
"""A kind of source that cosim does not have: one current into all neurons of a population."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from cosim.devices.base import Setting, Site, SourceTable


class DirectCurrentPort:
    """What a transfer function sees of it."""

    __slots__ = ("_values",)

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    @property
    def amplitude_pa(self) -> float:
        return float(self._values[0])

    @amplitude_pa.setter
    def amplitude_pa(self, amplitude_pa: float) -> None:
        self._values[0] = amplitude_pa


class DirectCurrent(SourceTable):
    """One generator for all neurons."""

    kind: Literal["direct_current"] = "direct_current"
    weight: float = 1.0

    quantity: ClassVar[str] = "current"
    unit: ClassVar[str] = "pA"
    model: ClassVar[str] = "dc_generator"

    def make_port(self, name: str, values: np.ndarray) -> DirectCurrentPort:
        return DirectCurrentPort(values)

    def create(self, site: Site) -> list[Setting]:
        generator = site.nest.Create(self.model)
        self.connect(site, generator)
        return [Setting(generator.global_id, "amplitude")]
