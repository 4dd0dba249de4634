# SPDX-License-Identifier: GPL-2.0-or-later
"""A rate for each neuron: the same as a Poisson generator for each, with the same random numbers."""

# As many generators as 1 modulo the number of virtual processes, so that nodes that come later are on the same ones.
NEURONS = 13
DEVICES = """
[[sources]]
kind = "rate_vector"
name = "rates"
population = "rates_driven"
weight = 90.0
delay_ms = 1.0
"""


def brain(nest):
    return {"rates_driven": nest.Create("iaf_psc_alpha", NEURONS)}


def values_hz(step):
    """Neurons differ, some are silent, and only some change from step to step."""
    return [0.0 if place == 3 else 600.0 * place + 700.0 * (step % (place + 1)) for place in range(NEURONS)]


def drive(step, rates):
    rates.rates_hz = values_hz(step)


def sources(nest, neurons):
    generators = nest.Create("poisson_generator", NEURONS)
    nest.Connect(generators, neurons["rates_driven"], "one_to_one", {"weight": 90.0, "delay": 1.0})
    return generators


def set_values(nest, generators, step):
    generators.rate = values_hz(step)
