# SPDX-License-Identifier: GPL-2.0-or-later
"""Projections drawn by NEST's own connection rules: slow, and the reference that ``cosim.engines.nest.wiring`` is
tested with.

Brain ranks only, collective. ``nest`` is the imported module.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from cosim.network.layout import Grid
from cosim.network.network import Network, Population
from cosim.network.rules import Bernoulli, FixedIndegree
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
    rule = _rule(projection.rule, *network.ends(projection), nest)
    synapse = {
        "synapse_model": synapse_model,
        "weight": _weight(projection.weight, nest),
        "delay": projection.delay_ms,
        "receptor_type": projection.receptor,
    }
    before = nest.num_connections
    nest.Connect(nodes[projection.source], nodes[projection.target], rule, synapse)
    return nest.num_connections - before


def has_rule(network: Network, number: int) -> bool:
    """Whether NEST has a rule for a projection, told by its number."""
    projection = network.projections[number]
    rule = projection.rule
    everywhere = isinstance(rule, Bernoulli) and rule.sigma_mm is None and rule.mask is None
    return isinstance(rule, FixedIndegree) or everywhere or _is_spatial(rule, *network.ends(projection))


def _is_spatial(rule: Any, source: Population, target: Population) -> bool:
    return isinstance(rule, Bernoulli) and all(isinstance(each.layout, Grid) for each in (source, target))


def _rule(rule: Any, source: Population, target: Population, nest: ModuleType) -> dict[str, Any]:
    if _is_spatial(rule, source, target):
        return _bernoulli(rule, nest)
    if isinstance(rule, Bernoulli) and rule.sigma_mm is None and rule.mask is None:
        return {"rule": "pairwise_bernoulli", "p": rule.p_center, "allow_autapses": False}
    if isinstance(rule, FixedIndegree):
        return _fixed_indegree(rule)
    raise ValueError(f"{source.name} -> {target.name}: NEST has no rule for {rule}")


def _bernoulli(rule: Bernoulli, nest: ModuleType) -> dict[str, Any]:
    """NEST's spatial Bernoulli rule; displacements are measured in the target's layer."""
    distance, sigma_mm, p = nest.spatial.distance, rule.sigma_mm, rule.p_center
    if sigma_mm is not None:
        p = p * nest.spatial_distributions.gaussian2D(distance.x, distance.y, std_x=sigma_mm, std_y=sigma_mm)
    spec = {"rule": "pairwise_bernoulli", "p": p, "allow_autapses": False}
    if rule.mask is not None:
        box = {"lower_left": list(rule.mask.lower_mm), "upper_right": list(rule.mask.upper_mm)}
        spec |= {"mask": {"box": box}, "allow_oversized_mask": True}
    return spec


def _fixed_indegree(rule: FixedIndegree) -> dict[str, Any]:
    spec = {"rule": "fixed_indegree", "indegree": rule.indegree, "allow_autapses": rule.allow_autapses}
    if rule.radius_mm is not None:
        spec |= {"mask": {"circular": {"radius": rule.radius_mm}}, "allow_oversized_mask": True}
    return spec | {"allow_multapses": True}


def _weight(weight: Weight, nest: ModuleType) -> Any:
    """A number or a NEST parameter; NEST calls mu and sigma of the lognormal distribution mean and std."""
    if isinstance(weight, Constant):
        return weight.value
    return nest.random.lognormal(mean=weight.mu, std=weight.sigma)
