# SPDX-License-Identifier: GPL-2.0-or-later
"""A sinusoidal current of which each parameter changes."""

# Amplitude, offset, frequency, phase; a change of one of them alone, too.
VALUES = (
    (600.0, 300.0, 30.0, 0.0),
    (900.0, 300.0, 30.0, 0.0),
    (900.0, 800.0, 30.0, 0.0),
    (900.0, 800.0, 77.0, 0.0),
    (900.0, 800.0, 77.0, 90.0),
    (900.0, 800.0, 77.0, 90.0),
    (0.0, 700.0, 77.0, 90.0),
    (1500.0, 0.0, 250.0, -45.0),
)
DEVICES = """
[[sources]]
kind = "ac"
name = "ac_source"
population = "ac_driven"
delay_ms = 1.0
"""


def brain(nest):
    return {"ac_driven": nest.Create("iaf_psc_alpha", 6, {"tau_m": 5.0, "V_m": nest.random.uniform(-70.0, -55.0)})}


def drive(step, ac_source):
    values = VALUES[step % len(VALUES)]
    ac_source.amplitude_pa, ac_source.offset_pa, ac_source.frequency_hz, ac_source.phase_deg = values


def sources(nest, neurons):
    generator = nest.Create("ac_generator", params={"frequency": 0.0})
    nest.Connect(generator, neurons["ac_driven"], "all_to_all", {"delay": 1.0})
    return generator


def set_values(nest, generator, step):
    names = ("amplitude", "offset", "frequency", "phase")
    generator.set(dict(zip(names, VALUES[step % len(VALUES)], strict=True)))
