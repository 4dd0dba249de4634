# SPDX-License-Identifier: GPL-2.0-or-later
"""Noise of which mean and standard deviation change, drawn in intervals of which one lies across two steps."""

MEAN_PA = (0.0, 300.0, 300.0, 500.0, 0.0, 400.0, 400.0, 200.0)
STD_PA = (0.0, 300.0, 900.0, 900.0, 0.0, 200.0, 200.0, 1500.0)
DEVICES = """
[[sources]]
kind = "noise"
name = "noise_source"
population = "noise_driven"
delay_ms = 1.0
interval_ms = 0.7
"""


def brain(nest):
    return {"noise_driven": nest.Create("iaf_psc_alpha", 7, {"tau_m": 5.0})}


def drive(step, noise_source):
    noise_source.mean_pa = 2 * MEAN_PA[step % len(MEAN_PA)]
    noise_source.std_pa = 2 * STD_PA[step % len(STD_PA)]


def sources(nest, neurons):
    generator = nest.Create("noise_generator", params={"dt": 0.7, "mean": 0.0, "std": 0.0})
    nest.Connect(generator, neurons["noise_driven"], "all_to_all", {"delay": 1.0})
    return generator


def set_values(nest, generator, step):
    generator.set(mean=2 * MEAN_PA[step % len(MEAN_PA)], std=2 * STD_PA[step % len(STD_PA)])
