# SPDX-License-Identifier: GPL-2.0-or-later
"""The connection rules that a projection may have, one file each. Nothing here knows an engine."""

from cosim.network.rules.bernoulli import Bernoulli, Box
from cosim.network.rules.fixed_indegree import FixedIndegree
from cosim.network.rules.one_to_one import OneToOne

__all__ = ["Bernoulli", "Box", "FixedIndegree", "OneToOne"]
