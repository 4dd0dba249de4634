# SPDX-License-Identifier: GPL-2.0-or-later
"""The neurons of a network: populations of one model each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cosim.network.layout import Layout
from cosim.network.values import Normal, Parameter, Start, Uniform

RELAY_MODEL = "parrot_neuron"
# Neuron models of NEST with one port for all spikes, 0, and those with one for each time constant in tau_syn, from
# 1 on.
SINGLE_PORT_MODELS = (
    *("iaf_cond_alpha", "iaf_cond_beta", "iaf_cond_exp"),
    *("iaf_psc_alpha", "iaf_psc_delta", "iaf_psc_exp"),
)
MULTISYNAPSE_MODELS = ("iaf_psc_alpha_multisynapse", "iaf_psc_exp_multisynapse")


@dataclass(frozen=True)
class Population:
    """Neurons of one kind; ``parameters`` have NEST's names and units, ``v_m`` is the rule for the start in mV.

    Without ``v_m`` neurons start where their model does.
    """

    name: str
    region: str
    neuron_model: str
    parameters: Mapping[str, Parameter]
    layout: Layout
    v_m: Start | None = None
    layer: str = ""
    cell_type: str = ""

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.layout.size

    @property
    def receptors(self) -> range | None:
        """The ports for spikes, by number; None where nothing is known of the model."""
        if self.neuron_model in SINGLE_PORT_MODELS:
            return range(1)
        if self.neuron_model in MULTISYNAPSE_MODELS:
            return range(1, self.time_constants + 1)
        return None

    @property
    def time_constants(self) -> int:
        """How many time constants of synapses, and so ports, it has in tau_syn, if its model has several."""
        tau_syn_ms = self.parameters.get("tau_syn", (2.0,))
        return 1 if isinstance(tau_syn_ms, float | int | Uniform | Normal) else len(tau_syn_ms)

    @property
    def is_relay(self) -> bool:
        """Whether it only passes spikes on; relays are not counted as neurons."""
        return self.neuron_model == RELAY_MODEL
