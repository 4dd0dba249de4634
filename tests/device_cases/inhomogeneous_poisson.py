# SPDX-License-Identifier: GPL-2.0-or-later
"""Poisson trains with rates that change within a step, also such that stay, and that end a step at another rate."""

RATES_HZ = (
    (0.0, 0.0, 0.0, 0.0),
    (3000.0, 0.0, 5000.0, 100.0),
    (100.0, 100.0, 100.0, 100.0),
    (3000.0, 0.0, 5000.0, 100.0),
    (3000.0, 0.0, 5000.0, 100.0),
    (0.0, 4000.0, 4000.0, 0.0),
    (0.0, 0.0, 0.0, 8000.0),
    (8000.0, 8000.0, 0.0, 0.0),
)
INTERVAL_MS = 2.5
DEVICES = """
[[sources]]
kind = "inhomogeneous_poisson"
name = "changing_rates"
population = "inhomogeneous_driven"
weight = 90.0
delay_ms = 1.0
interval_ms = 2.5
"""


def brain(nest):
    return {"inhomogeneous_driven": nest.Create("iaf_psc_alpha", 7)}


def drive(step, changing_rates):
    changing_rates.rates_hz = RATES_HZ[step % len(RATES_HZ)]


def sources(nest, neurons):
    generator = nest.Create("inhomogeneous_poisson_generator", params={"allow_offgrid_times": False})
    nest.Connect(generator, neurons["inhomogeneous_driven"], "all_to_all", {"weight": 90.0, "delay": 1.0})
    return generator


def set_values(nest, generator, step):
    """A rate acts in the resolution step that ends at its time."""
    times_ms = [
        round(nest.biological_time + place * INTERVAL_MS + nest.resolution, 4) for place in range(len(RATES_HZ[0]))
    ]
    generator.set(rate_times=times_ms, rate_values=list(RATES_HZ[step % len(RATES_HZ)]))
