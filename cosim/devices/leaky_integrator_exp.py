# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "leaky_integrator_exp"``: a leaky integrator with exponential currents.

See `cosim.devices.leaky_integrator`. The current is

    I = sum over spikes of w exp(-(t - t_s) / tau_syn)

where t_s is the time of a spike plus the delay. It is NEST's ``iaf_psc_exp`` with an infinite threshold; time constants
are those of the Neurorobotics Platform's ``leaky_integrator_exp``, which drew a delay between 0.1 and 2 ms for each
neuron; here all have ``delay_ms``. A mean of one spike per ms holds V at w tau_syn tau_m / C_m.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from cosim.devices.leaky_integrator import LeakyIntegrator


class LeakyIntegratorExp(LeakyIntegrator):
    """A leaky integrator with exponential currents that listens to a population."""

    kind: Literal["leaky_integrator_exp"] = "leaky_integrator_exp"
    tau_m_ms: float = Field(20.0, gt=0)
    tau_syn_ms: float = Field(0.5, gt=0)

    model: ClassVar[str] = "iaf_psc_exp"
