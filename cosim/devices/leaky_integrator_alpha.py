# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "leaky_integrator_alpha"``: a leaky integrator with alpha-shaped currents.

See `cosim.devices.leaky_integrator`. The current is

    I = sum over spikes of w (e / tau_syn) (t - t_s) exp(-(t - t_s) / tau_syn)

where t_s is the time of a spike plus the delay. It is NEST's ``iaf_psc_alpha`` with an infinite threshold; parameters
are those of the Neurorobotics Platform's ``leaky_integrator_alpha``. A mean of one spike per ms holds V at
w e tau_syn tau_m / C_m.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from cosim.devices.leaky_integrator import LeakyIntegrator


class LeakyIntegratorAlpha(LeakyIntegrator):
    """A leaky integrator with alpha-shaped currents that listens to a population."""

    kind: Literal["leaky_integrator_alpha"] = "leaky_integrator_alpha"
    tau_m_ms: float = Field(10.0, gt=0)
    tau_syn_ms: float = Field(2.0, gt=0)

    model: ClassVar[str] = "iaf_psc_alpha"
