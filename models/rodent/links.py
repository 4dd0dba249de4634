# SPDX-License-Identifier: GPL-2.0-or-later
"""The pathways between regions, which make a loop of the brain; the published benchmark ran without them.

Cortex, layer 5 -> striatum (through relays) and pons; basal ganglia -> thalamus (through relays); cerebellar
nuclei -> thalamus; cortex, layer 6 -> thalamus; thalamus -> cortex, layer 5B.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from cosim.network import Bernoulli, Constant, Drive, OneToOne, Population, Projection
from models.rodent.tables import Part, Patch, rows

# Cells of an area and layer that reach a relay population of the basal ganglia, on the full sheet; one relay each,
# which then has no Poisson spikes. The first area of a relay population takes its first relays, the next those after.
RELAYED = {"CSN": ("M1_L5A_CS", "S1_L5A_Pyr"), "PTN": ("M1_L5B_PT", "S1_L5B_Pyr")}
CELLS_RELAYED = 1000
RELAY_WEIGHT, RELAY_DELAY_MS = 1.0, 10.0


def linked(whole: Part, patch: Patch) -> Part:
    """``whole`` with all pathways whose both ends it has."""
    names = {population.name: population for population in whole.populations}
    relayed = list(_relayed(names, patch))
    rules = {each.target: each.rule for each in relayed}
    taken = {name: rule.first_target + rule.count for name, rule in rules.items() if isinstance(rule, OneToOne)}
    drives = tuple(_without_first(drive, taken.get(drive.population, 0)) for drive in whole.drives)
    return Part(whole.populations, (*whole.projections, *relayed, *_links(names)), drives)


def _relayed(names: Mapping[str, Population], patch: Patch) -> Iterator[Projection]:
    for relay, sources in RELAYED.items():
        first = 0
        for source in sources:
            if relay in names and source in names:
                count = min(patch.number(CELLS_RELAYED), names[source].size)
                yield Projection(source, relay, OneToOne(count, first), Constant(RELAY_WEIGHT), RELAY_DELAY_MS)
                first += count


def _without_first(drive: Drive, taken: int) -> Drive:
    return replace(drive, first=taken)


def _links(names: Mapping[str, Population]) -> Iterator[Projection]:
    for row in rows("links.csv"):
        if {row["source"], row["target"]} <= names.keys():
            rule = Bernoulli(float(row["p_center"]), float(row["sigma_mm"]))
            weight = Constant(float(row["tuned_weight_ns"] or row["weight_ns"]))
            yield Projection(row["source"], row["target"], rule, weight, float(row["delay_ms"]))
