# SPDX-License-Identifier: GPL-2.0-or-later
"""Thalamus: the nuclei VL and VM, each with two zones of three sheets."""

from __future__ import annotations

from cosim.network import Bernoulli, Constant, Drive, Population, Projection
from models.rodent.tables import Part, Patch, box, sheet, toml

NUCLEI = ("VL", "VM")
POINTS_PER_MM = 32


def thalamus(nucleus: str, patch: Patch) -> Part:
    """The tables of one nucleus."""
    tables = toml("thalamus.toml")
    names = tables["nuclei"][nucleus]
    populations, projections, drives = [], [], []
    for zone in tables["zones"]:
        prefix = f"{names['prefix']}_{zone}"
        populations += [_population(prefix, kind, nucleus, tables, patch) for kind in tables["cell_types"]]
        projections += [_projection(prefix, pair, tables, patch) for pair in tables["projections"]["pairs"]]
        for kind in tables["cell_types"]:
            own = {"rate_hz": names["rate_hz"].get(f"{zone}_{kind}", tables["drive"]["rate_hz"])}
            drives.append(_drive(f"{prefix}_{kind}", tables["drive"] | own))
    return Part(tuple(populations), tuple(projections), tuple(drives))


def _population(prefix: str, kind: str, nucleus: str, tables: dict, patch: Patch) -> Population:
    return Population(
        name=f"{prefix}_{kind}",
        region=nucleus,
        neuron_model=tables["neuron_model"],
        parameters=tables["parameters"] | tables["cell_types"][kind],
        layout=sheet(POINTS_PER_MM, 1, patch),
        v_m=Constant(tables["v_m_mv"]),
        layer=prefix[-2:],
        cell_type=kind,
    )


def _projection(prefix: str, pair: list[str], tables: dict, patch: Patch) -> Projection:
    table = tables["projections"]
    mask = box(tables["mask_reach_mm"]) if patch.as_run else None
    return Projection(
        source=f"{prefix}_{pair[0]}",
        target=f"{prefix}_{pair[1]}",
        rule=Bernoulli(table["p_center"], table["sigma_mm"], mask),
        weight=Constant(table["weight_ns"]),
        delay_ms=table["delay_ms"],
    )


def _drive(population: str, table: dict) -> Drive:
    return Drive(population, table["rate_hz"], table["weight_ns"], table["delay_ms"], table["start_ms"])
