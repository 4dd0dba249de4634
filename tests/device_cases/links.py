# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections: rules, receptors, and synapses with short-term plasticity, of sources and of sinks; a group of each."""

import math

RATES_HZ = (0.0, 1500.0, 1500.0, 300.0, 0.0, 3000.0, 500.0, 0.0)
TSODYKS = {"U": 0.3, "tau_rec": 50.0, "tau_fac": 20.0, "tau_psc": 2.0}
KEYS = "{U = 0.3, tau_rec_ms = 50.0, tau_fac_ms = 20.0, tau_psc_ms = 2.0}"
DEVICES = f"""
[[sources]]
name = "plastic_source"
population = "links_plastic"
weight = 500.0
delay_ms = 2.0
synapse = {KEYS}

[[sources]]
name = "plastic_pairs"
population = "links_pairs"
weight = 500.0
delay_ms = 2.0
connector = "one_to_one"
synapse = {KEYS}

[[sources]]
name = "some_source"
population = "links_plastic"
weight = 60.0
delay_ms = 1.0
receptor = "excitatory"
generators = 5
connector = "fixed_indegree"
indegree = 3

[[sources]]
name = "links_group"
populations = "links_*"
weight = 30.0
delay_ms = 1.0
receptor = "inhibitory"

[[sinks]]
name = "each_of_links"
populations = "links_pairs"
weight_pa = 40.0
delay_ms = 1.0
connector = "one_to_one"

[[sinks]]
name = "some_of_links"
populations = "links_plastic"
weight_pa = 40.0
delay_ms = 2.0
connector = "fixed_indegree"
indegree = 5
synapse = {KEYS}

[[sinks]]
name = "links_voltages"
populations = "links_*"
weight_pa = 20.0
delay_ms = 1.0
"""


def brain(nest):
    return {name: nest.Create("iaf_psc_alpha", 6, {"I_e": 370.0}) for name in ("links_pairs", "links_plastic")}


def drive(step, plastic_source, plastic_pairs, some_source, links_group):
    rate_hz = RATES_HZ[step % len(RATES_HZ)]
    plastic_source.rate_hz = plastic_pairs.rate_hz = some_source.rate_hz = rate_hz
    links_group.rate_hz = [rate_hz, 100.0 + step]


def sources(nest, neurons):
    pairs, plastic = neurons["links_pairs"], neurons["links_plastic"]
    synapse = {"synapse_model": "tsodyks_synapse", "weight": 500.0, "delay": 1.0, **TSODYKS}
    made = []
    for number, nodes, rule in ((1, plastic, "all_to_all"), (6, pairs, "one_to_one")):
        made.append(nest.Create("poisson_generator", number))
        relays = nest.Create("parrot_neuron", 6)
        nest.Connect(made[-1], relays, rule, {"delay": 1.0})
        nest.Connect(relays, nodes, "one_to_one", synapse)
    made.append(nest.Create("poisson_generator", 5))
    nest.Connect(made[-1], plastic, {"rule": "fixed_indegree", "indegree": 3}, {"weight": 60.0, "delay": 1.0})
    for nodes in (pairs, plastic):
        made.append(nest.Create("poisson_generator"))
        nest.Connect(made[-1], nodes, "all_to_all", {"weight": -30.0, "delay": 1.0})
    return made


def set_values(nest, made, step):
    rate_hz = RATES_HZ[step % len(RATES_HZ)]
    for generators, rate in zip(made, (*[rate_hz] * 4, 100.0 + step), strict=True):
        generators.rate = rate


def sinks(nest, neurons):
    times = {"C_m": 1000.0, "tau_m": 10.0, "tau_syn_ex": 2.0, "tau_syn_in": 2.0}
    zeros = dict.fromkeys(("E_L", "V_reset", "V_m", "I_e"), 0.0)

    def integrators(number):
        return nest.Create("iaf_psc_alpha", number, {"V_th": math.inf, **times, **zeros})

    each, some = integrators(6), integrators(1)
    nest.Connect(neurons["links_pairs"], each, "one_to_one", {"weight": 40.0, "delay": 1.0})
    synapse = {"synapse_model": "tsodyks_synapse", "weight": 40.0, "delay": 2.0, **TSODYKS}
    nest.Connect(neurons["links_plastic"], some, {"rule": "fixed_indegree", "indegree": 5}, synapse)
    group = {name: integrators(1) for name in neurons}
    for name, integrator in group.items():
        nest.Connect(neurons[name], integrator, "all_to_all", {"weight": 20.0, "delay": 1.0})
    return {"each_of_links": each, "some_of_links": some, **group}


def read(nest, made):
    return {name: nodes.get("V_m") for name, nodes in made.items()}
