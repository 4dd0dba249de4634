# SPDX-License-Identifier: GPL-2.0-or-later
"""A Poisson train of its own for each neuron, at a rate that changes."""

RATES_HZ = (0.0, 2000.0, 2000.0, 300.0, 0.0, 4000.0, 100.0, 0.0)
DEVICES = """
[[sources]]
name = "poisson_source"
population = "poisson_driven"
weight = 90.0
delay_ms = 1.0
"""


def brain(nest):
    return {"poisson_driven": nest.Create("iaf_psc_alpha", 7)}


def drive(step, poisson_source):
    poisson_source.rate_hz = RATES_HZ[step % len(RATES_HZ)]


def sources(nest, neurons):
    generator = nest.Create("poisson_generator", params={"rate": 0.0})
    nest.Connect(generator, neurons["poisson_driven"], "all_to_all", {"weight": 90.0, "delay": 1.0})
    return generator


def set_values(nest, generator, step):
    generator.rate = RATES_HZ[step % len(RATES_HZ)]
