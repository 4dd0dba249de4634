# SPDX-License-Identifier: GPL-2.0-or-later
"""A brain as tables: populations, projections, rules, values. Nothing here knows an engine.

What a ``network.py`` needs can be imported from here.
"""

from cosim.network.layout import Axis, Grid, Scattered, Unplaced
from cosim.network.network import Drive, Network, Projection
from cosim.network.population import RELAY_MODEL, Population
from cosim.network.rules import Bernoulli, Box, FixedIndegree, OneToOne
from cosim.network.values import Constant, Lognormal, Normal, Uniform, UniformOnce

__all__ = [
    "RELAY_MODEL",
    "Axis",
    "Bernoulli",
    "Box",
    "Constant",
    "Drive",
    "FixedIndegree",
    "Grid",
    "Lognormal",
    "Network",
    "Normal",
    "OneToOne",
    "Population",
    "Projection",
    "Scattered",
    "Uniform",
    "UniformOnce",
    "Unplaced",
]
