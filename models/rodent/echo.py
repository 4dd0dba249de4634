# SPDX-License-Identifier: GPL-2.0-or-later
"""The patch rule ``echo``: what a patch misses of the full sheet comes from its own neurons, late.

Probabilities do not change with the patch, so neurons of a small one lose most of their inputs (rule ``kernel``) and
fire up to ten times more, because inhibition is lost too. Merely giving them as many inputs as on the full sheet makes
a few neurons stand for many at the same moment: their inputs are correlated, and cortex runs away. Here every missing
synapse comes from a random neuron of the same source population in the patch, but with one of ``ECHOES`` delays spread
up to ``LATEST_MS``: the copies of a spike arrive as spikes of other neurons would. Rates, in-degree and the gain of the
recurrent loops stay those of the full sheet, and no rate has to be known beforehand.

How well: M1 ``clean``, 1.5 s, ratios of the rate of each population to that of the full sheet of 1 mm are in
README.md. Independent Poisson spikes at the sources' rates instead, with mean and variance of the missing inputs, keep
interneurons within 20 % but leave 0.1 to 0.2 of the rate of pyramidal cells in L5B: they fire because of the loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cosim.network import Bernoulli, FixedIndegree, Network, Projection

ECHOES = 16
# Shorter, L5B of a patch of 0.25 mm fires twice as much as on the full sheet (20 ms); longer, half (50 ms).
LATEST_MS = 40.0


def with_echoes(patch: Network, full: Network, resolution_ms: float) -> Network:
    """``patch`` with what it misses of ``full``; both have the same projections in the same order.

    Delays are multiples of ``resolution_ms``.
    """
    echoes = [
        echo
        for small, large in zip(patch.projections, full.projections, strict=True)
        if isinstance(small.rule, Bernoulli)
        for echo in _echoes(small, round(_indegree(large, full) - _indegree(small, patch)), resolution_ms)
    ]
    return replace(patch, projections=(*patch.projections, *echoes))


def _indegree(projection: Projection, network: Network) -> float:
    """Mean number of synapses per target neuron."""
    source, target = network.ends(projection)
    return projection.rule.expected_synapses(source.layout, target.layout, source is target) / target.size


def _echoes(projection: Projection, missing: int, resolution_ms: float) -> Iterator[Projection]:
    """``missing`` synapses per neuron, dealt out to the delays; the few that are left over to the shortest ones."""
    each, left = divmod(max(0, missing), ECHOES)
    for number in range(ECHOES):
        indegree = each + (number < left)
        spread_ms = (LATEST_MS - projection.delay_ms) * number / (ECHOES - 1)
        if indegree and spread_ms >= 0:
            delay_steps = round((projection.delay_ms + spread_ms) / resolution_ms)
            delay_ms = round(delay_steps * resolution_ms, 3)  # without the last bit's noise
            yield replace(projection, rule=FixedIndegree(indegree), delay_ms=delay_ms)
