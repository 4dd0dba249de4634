# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "population_rate"``: the mean rate of the neurons of a population, smoothed. Read at the end of every step.

A neuron of NEST, ``iaf_psc_exp``, that never fires listens to all N neurons. From one delay after it was sent on, each
spike adds to the rate

    r(t) = 1000 / N  (exp(-t / tau_fall) - exp(-t / tau_rise)) / (tau_fall - tau_rise)     in Hz, times in ms

(1000 / N  t / tau^2 exp(-t / tau) where both are tau). The area below it is 1 / N spikes: over a long time the rate is
the number of spikes for each neuron and second. It is 0 at the start. A patch of a larger sheet is no special case, as
the rate is that of one neuron.

This is the Neurorobotics Platform's ``population_rate`` with its time constants, and its delay: one step of NEST's
resolution unless ``delay_ms`` says otherwise. NEST exchanges spikes as often as the smallest delay of the network
says, so where all others are longer a longer one here makes a run faster.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from cosim.devices.base import Reading, SinkTable, Site
from cosim.devices.leaky_integrator import create_integrator
from cosim.devices.ports import Port, Value

# Any would do: the weight is made to fit.
C_M_PF = 1000.0
MS_PER_S = 1000.0


class PopulationRatePort(Port):
    """What a transfer function sees of a population's rate."""

    __slots__ = ()

    rate_hz = Value(
        0,
        is_read_only=True,
        doc="Smoothed rate of a neuron, mean over the population, at the end of the last coupling step.",
    )


class PopulationRate(SinkTable):
    """The smoothed rate of a population; see the head of its file for what it is."""

    kind: Literal["population_rate"] = "population_rate"
    tau_rise_ms: float = Field(10.0, gt=0)
    tau_fall_ms: float = Field(20.0, gt=0)
    delay_ms: float | None = Field(None, gt=0, description="default: one step of NEST's resolution")

    quantity: ClassVar[str] = "rate"
    unit: ClassVar[str] = "Hz"
    model: ClassVar[str] = "iaf_psc_exp"
    port: ClassVar[type[Port]] = PopulationRatePort

    def create(self, site: Site) -> list[Reading]:
        """One neuron, of which a mV is a Hz."""
        integrator = create_integrator(site, self.model, C_M_PF, self.tau_fall_ms, self.tau_rise_ms)
        weight_pa = MS_PER_S * C_M_PF / (len(site.neurons) * self.tau_rise_ms * self.tau_fall_ms)
        synapse = {"weight": weight_pa, "delay": self.delay_ms or site.nest.resolution}
        site.nest.Connect(site.neurons, integrator, "all_to_all", synapse)
        return [Reading(integrator.global_id, "V_m")]
