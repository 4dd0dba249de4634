# SPDX-License-Identifier: GPL-2.0-or-later
"""A current for each neuron: the same as a generator for each."""

# As many generators as 1 modulo the number of virtual processes, so that nodes that come later are on the same ones.
NEURONS = 14
DEVICES = """
[[sources]]
kind = "current_vector"
name = "currents"
population = "currents_driven[1::2]"
weight = 2.0
delay_ms = 1.0
"""


def brain(nest):
    return {"currents_driven": nest.Create("iaf_psc_alpha", NEURONS, {"tau_m": 5.0})}


def values_pa(step):
    """Neurons differ, and only some change from step to step."""
    return [400.0 + 60.0 * place + 50.0 * (step % (place + 1)) for place in range(NEURONS // 2)]


def drive(step, currents):
    currents.amplitudes_pa = values_pa(step)


def sources(nest, neurons):
    generators = nest.Create("dc_generator", NEURONS // 2)
    nest.Connect(generators, neurons["currents_driven"][1::2], "one_to_one", {"weight": 2.0, "delay": 1.0})
    return generators


def set_values(nest, generators, step):
    generators.amplitude = values_pa(step)
