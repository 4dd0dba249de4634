# SPDX-License-Identifier: GPL-2.0-or-later
"""The E/I-clustered attractor network of Rostami et al. 2024 and Schmitt et al. 2023, and its unclustered control.

Leaky integrate-and-fire neurons with exponential currents and a constant drive; there is no external noise. Every pair
is joined with the probability of its types, inside and between clusters alike; clusters differ by stronger weights
only, so that the mean input of every neuron is that of the control. Numbers are those of NEST's own example
EI_clustered_network, which runs a network of this kind, except for the potentials at the start (see ``network``).
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, field_validator, model_validator

from cosim import Table
from cosim.network import Bernoulli, Constant, Network, Population, Projection, Uniform, Unplaced

Kind = Literal["E", "I"]
KINDS: tuple[Kind, Kind] = ("E", "I")
REGION = "cortex"
NEURON_MODEL = "iaf_psc_exp"
C_M_PF, E_L_MV, V_TH_MV, T_REF_MS = 1.0, 0.0, 20.0, 5.0
TAU_M_MS = {"E": 20.0, "I": 10.0}
INHIBITORY_SHARE = 5  # one neuron in five
# Connection probability by (target, source).
PROBABILITY = {("E", "E"): 0.2, ("E", "I"): 0.5, ("I", "E"): 0.5, ("I", "I"): 0.5}
# How much stronger inhibition is than the excitation that it balances, by target.
BALANCE = {"E": 1.2, "I": 1.0}
DELAY_MS = 0.1


class Parameters(Table):
    """What ``[brain]`` in experiment.toml may say of this model."""

    neurons: int = Field(5000, gt=0, description="four of five are excitatory")
    clusters: int = Field(20, gt=1)
    j_ee_plus: float = Field(6.0, ge=1, description="factor of E-E weights inside a cluster; 1 is the control")
    r_j: float = Field(0.82, ge=0, description="how much of it all weights of inhibition get; 0: clusters of E alone")
    tau_syn_ex_ms: float = Field(5.0, gt=0)
    tau_syn_in_ms: float = Field(5.0, gt=0)
    tau_syn_cv: float = Field(0.0, ge=0, lt=0.5, description="coefficient of variation over neurons; 0: all alike")
    drive_e: float = Field(1.25, ge=0, description="constant current of E neurons in units of their rheobase")
    drive_i: float = Field(0.78, ge=0, description="constant current of I neurons in units of their rheobase")

    @field_validator("tau_syn_ex_ms", "tau_syn_in_ms")
    @classmethod
    def _no_membrane(cls, tau_ms: float) -> float:
        if tau_ms in TAU_M_MS.values():
            raise ValueError(
                "must differ from the membrane time constants 20 and 10 ms, for which NEST has no solution"
            )
        return tau_ms

    @model_validator(mode="after")
    def _whole_clusters(self) -> Parameters:
        if self.neurons % (INHIBITORY_SHARE * self.clusters):
            raise ValueError(
                f"neurons = {self.neurons} with clusters = {self.clusters}: must be a multiple of "
                f"{INHIBITORY_SHARE * self.clusters}, so that every cluster has whole neurons of both kinds"
            )
        if self.j_ee_plus > self.clusters:
            raise ValueError(
                f"j_ee_plus = {self.j_ee_plus}: must not be above clusters = {self.clusters}, or weights between "
                "clusters change their sign"
            )
        return self


def network(**parameters: float) -> Network:
    """The tables of the network; the keywords are those of ``Parameters``.

    Populations are called E_00, I_00 and so on, one of each kind for a cluster. Potentials start uniform between rest
    and threshold: started as in NEST's example, with few neurons near threshold, the control may lock into a
    global rhythm.
    """
    table = Parameters(**parameters)
    clusters = range(table.clusters)
    populations = tuple(_population(kind, number, table) for kind in KINDS for number in clusters)
    projections = tuple(
        _projection(target, to_cluster, source, from_cluster, table)
        for target in KINDS
        for source in KINDS
        for to_cluster in clusters
        for from_cluster in clusters
    )
    return Network(populations, projections)


def size(kind: Kind, table: Parameters) -> int:
    """Neurons of a kind in all clusters together."""
    inhibitory = table.neurons // INHIBITORY_SHARE
    return inhibitory if kind == "I" else table.neurons - inhibitory


def name(kind: Kind, cluster: int) -> str:
    """Name of a population."""
    return f"{kind}_{cluster:02d}"


def _population(kind: Kind, cluster: int, table: Parameters) -> Population:
    drive = {"E": table.drive_e, "I": table.drive_i}[kind]
    parameters = {
        "C_m": C_M_PF,
        "E_L": E_L_MV,
        "V_th": V_TH_MV,
        "V_reset": E_L_MV,
        "t_ref": T_REF_MS,
        "tau_m": TAU_M_MS[kind],
        "tau_syn_ex": _spread(table.tau_syn_ex_ms, table.tau_syn_cv),
        "tau_syn_in": _spread(table.tau_syn_in_ms, table.tau_syn_cv),
        "I_e": drive * (V_TH_MV - E_L_MV) * C_M_PF / TAU_M_MS[kind],
    }
    layout = Unplaced(size(kind, table) // table.clusters)
    start = Uniform(E_L_MV, V_TH_MV)
    return Population(name(kind, cluster), REGION, NEURON_MODEL, parameters, layout, start, cell_type=kind)


def _spread(mean_ms: float, cv: float) -> float | Uniform:
    """A value of its own for every neuron, uniform with this mean and coefficient of variation."""
    half_width = cv * math.sqrt(12) / 2
    return Uniform(mean_ms * (1 - half_width), mean_ms * (1 + half_width)) if cv else mean_ms


def _projection(target: Kind, to_cluster: int, source: Kind, from_cluster: int, table: Parameters) -> Projection:
    factor = inside(target, source, table) if to_cluster == from_cluster else between(target, source, table)
    return Projection(
        source=name(source, from_cluster),
        target=name(target, to_cluster),
        rule=Bernoulli(PROBABILITY[target, source]),
        weight=Constant(factor * baseline_pa(target, source, table)),
        delay_ms=DELAY_MS,
    )


def inside(target: Kind, source: Kind, table: Parameters) -> float:
    """Factor of weights inside a cluster: J_E+ for E onto E, J_I+ = 1 + R_J (J_E+ - 1) for all others."""
    return table.j_ee_plus if (target, source) == ("E", "E") else 1 + table.r_j * (table.j_ee_plus - 1)


def between(target: Kind, source: Kind, table: Parameters) -> float:
    """Factor of weights between clusters, (Q - J+) / (Q - 1), which keeps the mean input as it is without clusters."""
    return (table.clusters - inside(target, source, table)) / (table.clusters - 1)


def baseline_pa(target: Kind, source: Kind, table: Parameters) -> float:
    """Weight without clusters.

    The square root of the number of excitatory inputs, at the same time, reaches threshold; inhibition is as strong
    as excitation times ``BALANCE``.
    """
    inputs = PROBABILITY[target, "E"] * size("E", table)
    excitation = (V_TH_MV - E_L_MV) / (math.sqrt(inputs) * psp_mv(target, "E", table))
    if source == "E":
        return excitation
    inhibitory_inputs = PROBABILITY[target, "I"] * size("I", table)
    balance = inputs * psp_mv(target, "E", table) / (inhibitory_inputs * psp_mv(target, "I", table))
    return -BALANCE[target] * excitation * balance


def psp_mv(target: Kind, source: Kind, table: Parameters) -> float:
    """Peak of the potential after one exponential current of 1 pA."""
    tau_m = TAU_M_MS[target]
    tau_syn = table.tau_syn_ex_ms if source == "E" else table.tau_syn_in_ms
    peak_ms = tau_m * tau_syn / (tau_m - tau_syn) * math.log(tau_m / tau_syn)
    scale = tau_m * tau_syn / (tau_m - tau_syn) / C_M_PF
    return scale * (math.exp(-peak_ms / tau_m) - math.exp(-peak_ms / tau_syn))
