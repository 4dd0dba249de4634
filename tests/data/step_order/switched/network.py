# SPDX-License-Identifier: GPL-2.0-or-later
"""Neurons that fire when they are told to, neurons that fire at random, and one that never does."""

import math

from cosim.network import Drive, Network, Population, Unplaced

# A spike adds its weight in mV to the potential, at once; without a refractory time one may follow every 0.1 ms.
EXCITABLE = {"E_L": 0.0, "V_m": 0.0, "V_reset": 0.0, "V_th": 1.0, "t_ref": 0.0}


def network():
    """Half of the neurons of ``full_network``."""
    return of_size(1)


def full_network():
    """What weights of sinks are scaled to."""
    return of_size(2)


def of_size(factor):
    """The populations with so many times their neurons, and the noise that keeps some of them firing."""
    populations = (
        population("early", 3 * factor, EXCITABLE),
        population("late", 2 * factor, EXCITABLE),
        population("deaf", factor, EXCITABLE | {"V_th": math.inf}),
        population("chatter", 41 * factor, EXCITABLE),
    )
    return Network(populations, drives=(Drive("chatter", rate_hz=300.0, weight=2.0, delay_ms=1.5),))


def population(name, size, parameters):
    """Neurons of NEST's simplest model."""
    return Population(name, "test", "iaf_psc_delta", parameters, Unplaced(size))
