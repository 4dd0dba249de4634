# SPDX-License-Identifier: GPL-2.0-or-later
"""One-to-one links in NEST, which has no rule that leaves some neurons out."""

from __future__ import annotations

import numpy as np

from cosim.engines.nest.rules.drawing import Drawing
from cosim.engines.nest.rules.rule_in_nest import RuleInNest
from cosim.network.rules import OneToOne


def draw(rule: OneToOne, drawing: Drawing) -> int:
    """Choose the sources and join them in order; returns how many synapses are on this rank."""
    chosen = drawing.random().choice(drawing.source.size, rule.count, replace=False)
    return drawing.pairs(np.sort(chosen), rule.first_target + np.arange(rule.count))


IN_NEST = RuleInNest(draw)
