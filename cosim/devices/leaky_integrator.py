# SPDX-License-Identifier: GPL-2.0-or-later
"""What leaky integrators have in common: a neuron of NEST that never fires and listens to a whole population.

Transfer functions read its membrane potential V at the end of every coupling step:

    dV/dt = -V / tau_m + I / C_m

The kinds differ in the current I that a spike gives. V is 0 at rest and at the start; a spike acts one delay after
it was sent.

On a patch of a larger sheet a population has fewer neurons and would drive its sink less. The weight is
therefore multiplied by (neurons of the full sheet) / (neurons of the patch), so that the same firing rate gives the
same voltage at any patch size, and what a transfer function makes of a voltage stays true. Of a part of a population
only the neurons meant are counted: ``E[:10]`` are ten on both, ``E[::2]`` the half of either.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pydantic import Field

from cosim.devices.base import Reading, SinkTable, Site
from cosim.devices.ports import Port, Value


class LeakyIntegratorPort(Port):
    """What a transfer function sees of a leaky integrator."""

    __slots__ = ()

    voltage_mv = Value(0, is_read_only=True, doc="Membrane potential at the end of the last coupling step; 0 at rest.")


class LeakyIntegrator(SinkTable):
    """A leaky integrator that listens to a population; its kinds say their own time constants."""

    weight_pa: float = Field(gt=0, description="on the full sheet; on a patch it is scaled up")
    delay_ms: float = Field(gt=0)
    c_m_pf: float = Field(1000.0, gt=0)
    tau_m_ms: float = Field(gt=0)
    tau_syn_ms: float = Field(gt=0)

    quantity: ClassVar[str] = "voltage"
    unit: ClassVar[str] = "mV"
    port: ClassVar[type[Port]] = LeakyIntegratorPort

    def create(self, site: Site) -> list[Reading]:
        """One neuron, at rest at first."""
        integrator = create_integrator(site, self.model, self.c_m_pf, self.tau_m_ms, self.tau_syn_ms)
        synapse = {"weight": self.weight_pa * site.scale, "delay": self.delay_ms}
        site.nest.Connect(site.neurons, integrator, "all_to_all", synapse)
        return [Reading(integrator.global_id, "V_m")]


def create_integrator(site: Site, model: str, c_m_pf: float, tau_m_ms: float, tau_syn_ms: float) -> Any:
    """A neuron of NEST that never fires, at rest at 0 mV."""
    parameters = {
        "V_th": math.inf,
        "C_m": c_m_pf,
        "tau_m": tau_m_ms,
        "tau_syn_ex": tau_syn_ms,
        "tau_syn_in": tau_syn_ms,
        **{"E_L": 0.0, "V_reset": 0.0, "V_m": 0.0, "I_e": 0.0},
    }
    return site.nest.Create(model, params=parameters)
