# SPDX-License-Identifier: GPL-2.0-or-later
"""The patch rule ``background``: what a patch misses of the full sheet comes as Poisson spikes instead.

Probabilities do not change with the patch, so neurons of a small one lose most of their inputs. Keeping their number by
raising probabilities makes a few neurons stand for many: inputs become correlated and the patch runs away to hundreds
of Hz. Here every neuron gets the missing inputs as independent spikes at the rates that their sources have on the
full sheet (``rates.csv``), excitation and inhibition apart, with the mean and the variance that the missing synapses
would have:

    w = sum(K r <w^2>) / sum(K r <w>),    rate = sum(K r <w>)^2 / sum(K r <w^2>)

over all projections of one sign onto a population, where K is the mean number of synapses per neuron that the patch
lacks, r the source's rate and <> the mean over synapses (Campbell's theorem for shot noise). What is lost are correlations
with cells outside of the patch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from cosim.brain.network import Drive, Network, Projection

# Of the lattice's rounding to whole cells: below, a patch lacks nothing that matters.
SMALLEST_RATE_HZ = 1e-6


def background_drives(patch: Network, full: Network, rates_hz: Mapping[str, float]) -> tuple[Drive, ...]:
    """Two drives, excitation and inhibition, for every population of ``patch`` that lacks inputs of ``full``.

    Both networks have the same projections in the same order. Inhibition starts with the first, excitation with the
    last of the populations that it stands for, so that cortex is brought up as the full sheet is, inhibition first.
    """
    starts_ms: dict[str, float] = {drive.population: drive.start_ms for drive in patch.drives}
    missing = defaultdict(list)
    for small, large in zip(patch.projections, full.projections, strict=True):
        rate_hz = rates_hz.get(small.source, 0.0) * _missing_indegree(small, patch, full, large)
        if rate_hz > SMALLEST_RATE_HZ:
            missing[small.target, small.weight.mean > 0].append((rate_hz, small))
    return tuple(_drives(missing, starts_ms))


def _missing_indegree(small: Projection, patch: Network, full: Network, large: Projection) -> float:
    """Mean number of synapses per target neuron that the full sheet has more than the patch; never negative."""
    return max(0.0, _indegree(large, full) - _indegree(small, patch))


def _indegree(projection: Projection, network: Network) -> float:
    source, target = network.ends(projection)
    return projection.rule.expected_synapses(source.layout, target.layout, source is target) / target.size


def _drives(
    missing: Mapping[tuple[str, bool], list[tuple[float, Projection]]], starts_ms: Mapping[str, float]
) -> Iterator[Drive]:
    for (population, excites), inputs in missing.items():
        mean = sum(rate_hz * each.weight.mean for rate_hz, each in inputs)
        square = sum(rate_hz * each.weight.mean_square for rate_hz, each in inputs)
        starts = [starts_ms.get(each.source, 0.0) for _, each in inputs]
        yield Drive(
            population,
            rate_hz=mean**2 / square,
            weight=square / mean,
            delay_ms=inputs[0][1].delay_ms,
            start_ms=max(starts) if excites else min(starts),
        )
