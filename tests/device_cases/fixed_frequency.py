# SPDX-License-Identifier: GPL-2.0-or-later
"""Regular spikes: times are computed here with fractions, by the integral of the rate."""

import math
from fractions import Fraction

from device_cases import STEP_MS, STEPS

RATES_HZ = (0, 500, 500, 333, 0, 333, 60, 25000)
DEVICES = """
[[sources]]
kind = "fixed_frequency"
name = "regular_source"
population = "regular_driven"
weight = 900.0
delay_ms = 1.0
"""


def brain(nest):
    driven = nest.Create("iaf_psc_alpha", 3, {"V_m": nest.random.uniform(-70.0, -55.0)})
    return {"regular_driven": driven, "regular_relays": nest.Create("parrot_neuron", 2)}


DEVICES += """
[[sources]]
kind = "fixed_frequency"
name = "relayed_source"
population = "regular_relays"
weight = 1.0
delay_ms = 1.0
"""


def drive(step, regular_source, relayed_source):
    regular_source.rate_hz = relayed_source.rate_hz = RATES_HZ[step % len(RATES_HZ)]


def times_ms():
    """A spike for each whole number that the integral reaches, at the end of a resolution step of 0.1 ms."""
    integral, found = Fraction(0), []
    for step, rate_hz in zip(range(STEPS), RATES_HZ, strict=True):
        per_tick = Fraction(rate_hz, 10000)
        for tick in range(round(10 * STEP_MS)):
            before, integral = integral, integral + per_tick
            now = round(step * STEP_MS + (tick + 1) / 10, 1)
            found += [now] * (math.floor(integral) - math.floor(before))
    return found


def sources(nest, neurons):
    for name, weight in (("regular_driven", 900.0), ("regular_relays", 1.0)):
        generator = nest.Create("spike_generator", params={"spike_times": times_ms()})
        nest.Connect(generator, neurons[name], "all_to_all", {"weight": weight, "delay": 1.0})
