# SPDX-License-Identifier: GPL-2.0-or-later
"""A fixed number of inputs in NEST."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from cosim.engines.nest.rules.drawing import Drawing
from cosim.engines.nest.rules.rule_in_nest import ConnectionSpec, RuleInNest
from cosim.network.layout import Unplaced
from cosim.network.population import Population
from cosim.network.rules import FixedIndegree


def draw(rule: FixedIndegree, drawing: Drawing) -> int:
    """Draw the sources of every target; returns how many synapses are on this rank."""
    return drawing.link.connect_indegree(
        drawing.sources(drawing.source.size),
        drawing.targets(drawing.target.size),
        rule.indegree,
        drawing.synapse,
        drawing.key,
        positions=None if rule.radius_mm is None else (_places_mm(drawing.source), _places_mm(drawing.target)),
        radius_mm=rule.radius_mm,
        allow_autapses=rule.allow_autapses,
        nearest_if_empty=True,
    )


def _places_mm(population: Population) -> np.ndarray:
    """(size, 2)."""
    assert not isinstance(population.layout, Unplaced)  # or the check of the network had refused it
    return population.layout.positions_mm[:, :2]


def spec(rule: FixedIndegree, _source: Population, _target: Population) -> ConnectionSpec:
    """NEST's fixed_indegree, within a circle if the rule has one."""

    def of(_nest: ModuleType) -> dict[str, Any]:
        found = {"rule": "fixed_indegree", "indegree": rule.indegree, "allow_autapses": rule.allow_autapses}
        if rule.radius_mm is not None:
            found |= {"mask": {"circular": {"radius": rule.radius_mm}}, "allow_oversized_mask": True}
        return found | {"allow_multapses": True}

    return of


IN_NEST = RuleInNest(draw, spec)
