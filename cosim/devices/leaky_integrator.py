# SPDX-License-Identifier: GPL-2.0-or-later
"""What leaky integrators have in common: a neuron of NEST that never fires and listens to a whole population.

Transfer functions read its membrane potential V at the end of every coupling step:

    dV/dt = -V / tau_m + I / C_m

The kinds differ in the current I that a spike gives. V is 0 at rest and at the start; a spike acts one delay after
it was sent.

On a patch of a larger sheet a population has fewer neurons and would drive its sink less. The weight is
therefore multiplied by (neurons of the full sheet) / (neurons of the patch), so that the same firing rate gives the
same voltage at any patch size, and what a transfer function makes of a voltage stays true. Of a part of a population
only the neurons meant are counted: ``E[:10]`` are ten on both, ``E[::2]`` the half of either. Where the number of
neurons that a sink hears does not depend on the patch, with another ``connector`` than all_to_all, nothing is scaled.

With ``connector = "one_to_one"`` there is an integrator for each neuron, and ``port.voltage_mv`` is an array.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from cosim.devices.base import Footprint, Reading, SinkTable, Site
from cosim.devices.links import Connected, Tsodyks
from cosim.devices.ports import Port, Value

# An integrator in NEST with all that belongs to it, its one connection included.
INTEGRATOR_BYTES = 2000


class LeakyIntegratorPort(Port):
    """What a transfer function sees of a leaky integrator."""

    __slots__ = ()

    voltage_mv = Value(0, is_read_only=True, doc="Membrane potential at the end of the last coupling step; 0 at rest.")


class LeakyIntegrator(Connected, SinkTable):
    """A leaky integrator that listens to a population; its kinds say their own time constants."""

    weight_pa: float = Field(gt=0, description="on the full sheet; on a patch it is scaled up")
    delay_ms: float = Field(gt=0)
    c_m_pf: float = Field(1000.0, gt=0)
    tau_m_ms: float = Field(gt=0)
    tau_syn_ms: float = Field(gt=0)
    synapse: Tsodyks | None = Field(None, description="with short-term plasticity; static if it is left out")

    quantity: ClassVar[str] = "voltage"
    unit: ClassVar[str] = "mV"
    port: ClassVar[type[Port]] = LeakyIntegratorPort

    def problems(self, step_ms: float, resolution_ms: float) -> Iterator[str]:
        """What does not fit together."""
        yield from super().problems(step_ms, resolution_ms)
        yield from self.problems_of_links()

    @property
    def is_per_neuron(self) -> bool:
        """With ``one_to_one`` each neuron has an integrator of its own."""
        return self.connector == "one_to_one"

    def size(self, neurons: int) -> int:
        """A voltage for each integrator."""
        return neurons if self.is_per_neuron else 1

    def make_port(self, name: str, values: np.ndarray) -> Port:
        """Of several integrators ``voltage_mv`` is an array."""
        return LeakyIntegratorPort(name, values.reshape(-1, 1) if self.is_per_neuron else values)

    def make_group_port(self, name: str, values: np.ndarray, populations: Sequence[str]) -> Port:
        """A voltage for each population; with ``one_to_one`` for each neuron, population after population."""
        return LeakyIntegratorPort(name, values.reshape(-1, 1), populations)

    def create(self, site: Site) -> list[Reading]:
        """One neuron, or one for each, at rest at first."""
        number = self.size(len(site.neurons))
        integrators = create_integrator(site, self.model, self.c_m_pf, self.tau_m_ms, self.tau_syn_ms, number)
        # Of a patch only a sink that hears a whole population hears less than it would on the full sheet.
        scale = site.scale if self.connector == "all_to_all" else 1.0
        synapse = {"weight": self.weight_pa * scale, "delay": self.delay_ms}
        plastic = self.synapse.parameters if self.synapse else {}
        site.nest.Connect(site.neurons, integrators, self.rule, {**synapse, **plastic})
        return [Reading(node_id, "V_m") for node_id in integrators.tolist()]

    def footprint(self, neurons: int) -> Footprint:
        """One node with a connection from each neuron, or from some; or as many nodes with one connection each."""
        if self.is_per_neuron:
            return Footprint(more_bytes=neurons * INTEGRATOR_BYTES)
        return Footprint(gathered_links=self.indegree or neurons)


def create_integrator(
    site: Site, model: str, c_m_pf: float, tau_m_ms: float, tau_syn_ms: float, number: int = 1
) -> Any:
    """Neurons of NEST that never fire, at rest at 0 mV."""
    parameters = {
        "V_th": math.inf,
        "C_m": c_m_pf,
        "tau_m": tau_m_ms,
        "tau_syn_ex": tau_syn_ms,
        "tau_syn_in": tau_syn_ms,
        **{"E_L": 0.0, "V_reset": 0.0, "V_m": 0.0, "I_e": 0.0},
    }
    return site.nest.Create(model, number, parameters)
