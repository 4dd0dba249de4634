# SPDX-License-Identifier: GPL-2.0-or-later
"""A kind of source that cosim does not have: a current of its own into each neuron of a population."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from cosim.devices.base import Footprint, Setting, Site, SourceTable


class CurrentsPort:
    """What a transfer function sees of them."""

    __slots__ = ("amplitudes_pa",)

    def __init__(self, values: np.ndarray) -> None:
        self.amplitudes_pa = values


class Currents(SourceTable):
    """One generator for each neuron."""

    kind: Literal["currents"] = "currents"
    weight: float = 1.0

    quantity: ClassVar[str] = "current"
    unit: ClassVar[str] = "pA"
    model: ClassVar[str] = "dc_generator"

    def size(self, neurons: int) -> int:
        return neurons

    def make_port(self, name: str, values: np.ndarray) -> CurrentsPort:
        return CurrentsPort(values)

    def create(self, site: Site) -> list[Setting]:
        generators = site.nest.Create(self.model, len(site.neurons))
        site.nest.Connect(generators, site.neurons, "one_to_one", {"weight": self.weight, "delay": self.delay_ms})
        return [Setting(node_id, "amplitude") for node_id in generators.tolist()]

    def footprint(self, neurons: int) -> Footprint:
        return Footprint(generators=neurons, spread_links=neurons)
