# SPDX-License-Identifier: GPL-2.0-or-later
"""A current that changes, also as generators that each neuron gets two of."""

AMPLITUDES_PA = (0.0, 500.0, 700.0, 700.0, -100.0, 900.0, 0.0, 650.0)
DEVICES = """
[[sources]]
kind = "dc"
name = "dc_source"
population = "dc_driven"
delay_ms = 1.0

[[sources]]
kind = "dc"
name = "dc_pairs"
population = "dc_twice[1:]"
weight = 0.5
delay_ms = 2.0
generators = 3
connector = "fixed_indegree"
indegree = 2

[[sources]]
kind = "dc"
name = "dc_each"
population = "dc_alone"
delay_ms = 1.0
connector = "one_to_one"
"""


def brain(nest):
    fast = {"tau_m": 5.0, "V_m": nest.random.uniform(-70.0, -55.0)}
    return {name: nest.Create("iaf_psc_alpha", 4, fast) for name in ("dc_driven", "dc_twice", "dc_alone")}


def drive(step, dc_source, dc_pairs, dc_each):
    for each in (dc_source, dc_pairs, dc_each):
        each.amplitude_pa = 2 * AMPLITUDES_PA[step % len(AMPLITUDES_PA)]


def sources(nest, neurons):
    one, three, each = (nest.Create("dc_generator", number) for number in (1, 3, 4))
    nest.Connect(one, neurons["dc_driven"], "all_to_all", {"delay": 1.0})
    twice = {"rule": "fixed_indegree", "indegree": 2}
    nest.Connect(three, neurons["dc_twice"][1:], twice, {"weight": 0.5, "delay": 2.0})
    nest.Connect(each, neurons["dc_alone"], "one_to_one", {"delay": 1.0})
    return one + three + each


def set_values(nest, generators, step):
    generators.amplitude = 2 * AMPLITUDES_PA[step % len(AMPLITUDES_PA)]
