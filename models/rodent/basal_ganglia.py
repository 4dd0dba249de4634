# SPDX-License-Identifier: GPL-2.0-or-later
"""Basal ganglia: five scattered nuclei, the relays of their inputs, and a relay of their output.

A target has nu synapses of a projection: alpha of an input, share * alpha * (sources / targets in the animal) of a
nucleus. ``redundancy`` of them are made by one source, so that the in-degree is nu / redundancy, at most the
number of sources that are there; its whole part is wired. A weight stands for nu / in-degree synapses at a distance of
``contact`` along a dendrite that attenuates as a passive cable with a sealed end does:

    w = nu / indegree * cosh(X (1 - contact)) / cosh(X) * psp,    X = lx sqrt(4 Ri / (dx Rm))

The published code also means to wire the fraction of the in-degree, but by a slip makes fewer than 187 synapses of it;
they are left out.
"""

from __future__ import annotations

import math

from cosim.network import RELAY_MODEL, Constant, Drive, FixedIndegree, OneToOne, Population, Projection, Scattered
from models.rodent.tables import Part, Patch, rows, shape_seed, toml

REGION = "BG"
# The benchmark built the basal ganglia twice and ran both; names of the second copy end so.
SECOND_COPY = "_2"
OUTPUT, OUTPUT_RELAY = "GPi", "GPi_fake"
RELAY_WEIGHT, RELAY_DELAY_MS = 1.0, 1.0


def basal_ganglia(patch: Patch, copy: str = "") -> Part:
    """The tables of one copy; ``copy`` ends the names of its populations and of its region."""
    tables = toml("basal_ganglia.toml")
    nuclei = [_nucleus(name, row, tables, patch, copy) for name, row in tables["nuclei"].items()]
    inputs = [_relay(name + copy, name, row, patch, copy) for name, row in tables["inputs"].items()]
    output = _relay(OUTPUT_RELAY + copy, OUTPUT, tables["nuclei"][OUTPUT], patch, copy)
    populations = (*nuclei, *inputs, output)
    sizes = {population.name.removesuffix(copy): population.size for population in populations}
    projections = [
        each for row in rows("projections_bg.csv") for each in _projections(row, tables, sizes[row["source"]], copy)
    ]
    relayed = OneToOne(output.size)
    projections.append(Projection(OUTPUT + copy, OUTPUT_RELAY + copy, relayed, Constant(RELAY_WEIGHT), RELAY_DELAY_MS))
    drives = tuple(
        Drive(name + copy, row["rate_hz"], RELAY_WEIGHT, RELAY_DELAY_MS) for name, row in tables["inputs"].items()
    )
    return Part(populations, tuple(projections), drives)


def _nucleus(name: str, row: dict, tables: dict, patch: Patch, copy: str) -> Population:
    own = {key: row[key] for key in ("C_m", "tau_m", "V_th", "I_e")}
    return Population(
        name=name + copy,
        region=REGION + copy,
        neuron_model=tables["neuron_model"],
        parameters=tables["parameters"] | {"tau_syn": tuple(tables["parameters"]["tau_syn"])} | own,
        layout=_scattered(name, row, patch),
        v_m=Constant(0.0),
        cell_type=name,
    )


def _relay(name: str, like: str, row: dict, patch: Patch, copy: str) -> Population:
    """Parrots; the output's lie where its cells do."""
    return Population(name, REGION + copy, RELAY_MODEL, {}, _scattered(like, row, patch), cell_type=like)


def _scattered(name: str, row: dict, patch: Patch) -> Scattered:
    count = row.get("as_run", row["count"]) if patch.as_run else row["count"]
    low_mm, side_mm = (row[key] * patch.side_mm for key in ("low_mm", "side_mm"))
    return Scattered(patch.number(count), low_mm, side_mm, shape_seed(name))


def _projections(row: dict[str, str], tables: dict, sources: int, copy: str) -> list[Projection]:
    """One projection for each receptor, drawn independently; none where the in-degree is below 1."""
    nu = _synapses_per_target(row, tables)
    indegree = min(nu / tables["redundancy"], sources)
    if indegree < 1:
        return []
    receptors = row["receptors"].split()
    circle_mm = tables["circle_mm"][row["axon"] if receptors == ["GABA"] else "focused"]
    strength = nu / indegree * _attenuation(float(row["contact"]), tables["nuclei"][row["target"]], tables)
    return [
        Projection(
            source=row["source"] + copy,
            target=row["target"] + copy,
            rule=FixedIndegree(math.floor(indegree), circle_mm),
            weight=Constant(strength * tables["psp_mv"][receptor]),
            delay_ms=float(row["delay_ms"]),
            receptor=tables["receptors"][receptor],
        )
        for receptor in receptors
    ]


def _synapses_per_target(row: dict[str, str], tables: dict) -> float:
    """nu of the module's formula."""
    cells, alpha = tables["cells_in_the_animal"], float(row["alpha"])
    if row["source"] not in cells:
        return alpha
    return cells[row["source"]] / cells[row["target"]] * float(row["share"]) * alpha


def _attenuation(contact: float, target: dict, tables: dict) -> float:
    electrotonic_length = target["lx_m"] * math.sqrt(4 * tables["Ri_ohm_m"] / (target["dx_m"] * tables["Rm_ohm_m2"]))
    return math.cosh(electrotonic_length * (1 - contact)) / math.cosh(electrotonic_length)
