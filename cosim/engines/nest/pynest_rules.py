# SPDX-License-Identifier: GPL-2.0-or-later
"""Projections drawn by NEST's own connection rules: slow, and the reference that ``cosim.engines.nest.wiring`` is
tested with.

Brain ranks only, collective. ``nest`` is the imported module.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from cosim.engines.nest.rules.registry import in_nest
from cosim.engines.nest.rules.rule_in_nest import ConnectionSpec
from cosim.network.network import Network, Projection
from cosim.network.values import Constant, Weight

NodeCollection = Any  # NEST's type; this module does not import NEST


def connect(
    network: Network, number: int, synapse_model: str, nodes: dict[str, NodeCollection], nest: ModuleType
) -> int:
    """Draw the synapses of one projection with NEST's random numbers; return how many this rank got.

    Raises:
        ValueError: a rule that NEST does not have, see `has_rule`.
    """
    projection = network.projections[number]
    spec = _spec(network, projection)
    if spec is None:
        raise ValueError(f"{projection.source} -> {projection.target}: NEST has no rule for {projection.rule}")
    synapse = {
        "synapse_model": synapse_model,
        "weight": _weight(projection.weight, nest),
        "delay": projection.delay_ms,
        "receptor_type": projection.receptor,
    }
    before = nest.num_connections
    nest.Connect(nodes[projection.source], nodes[projection.target], spec(nest), synapse)
    return nest.num_connections - before


def has_rule(network: Network, number: int) -> bool:
    """Whether NEST has a rule for a projection, told by its number."""
    return _spec(network, network.projections[number]) is not None


def _spec(network: Network, projection: Projection) -> ConnectionSpec | None:
    return in_nest(projection.rule).spec(projection.rule, *network.ends(projection))


def _weight(weight: Weight, nest: ModuleType) -> Any:
    """A number or a NEST parameter; NEST calls mu and sigma of the lognormal distribution mean and std."""
    if isinstance(weight, Constant):
        return weight.value
    return nest.random.lognormal(mean=weight.mu, std=weight.sigma)
