# SPDX-License-Identifier: GPL-2.0-or-later
"""Cortex: layers of cubic lattices, every cell type in a lattice of its own."""

from __future__ import annotations

from cosim.network import Axis, Bernoulli, Box, Constant, Drive, Lognormal, Population, Projection, UniformOnce
from models.rodent.tables import Part, Patch, box, grid, rows, toml

AREAS = ("M1", "S1")


def cortex(area: str, patch: Patch) -> Part:
    """The tables of one area."""
    tables = toml("cortex.toml")
    geometry = tables["areas"][area]
    cells = rows(f"populations_{area.lower()}.csv")
    mask = box(geometry["mask_reach_mm"]) if patch.as_run else None
    return Part(
        tuple(_population(row, area, tables, patch) for row in cells),
        tuple(_projection(row, mask) for row in rows(f"projections_{area.lower()}.csv")),
        tuple(_drive(row) for row in cells),
    )


def _population(row: dict[str, str], area: str, tables: dict, patch: Patch) -> Population:
    parameters = tables["parameters"] | tables["cell_types"][row["cell_type"]]
    return Population(
        name=row["name"],
        region=area,
        neuron_model=tables["neuron_model"],
        parameters=parameters,
        layout=grid(_axes(tables["areas"][area], row, patch), patch),
        v_m=UniformOnce(parameters["V_reset"], parameters["V_th"]),
        layer=row["layer"],
        cell_type=row["cell_type"],
    )


def _axes(area: dict, row: dict[str, str], patch: Patch) -> tuple[Axis, Axis, Axis]:
    """A cubic lattice of the layer's density, each side rounded to whole cells, as the benchmark built it."""
    layer = area["layers"][row["layer"]]
    thickness_mm = layer["thickness_mm"]
    cells_per_mm = (float(row["density_per_mm2"]) / thickness_mm) ** (1 / 3)
    side_mm = area["side_mm"] * patch.side_mm
    side = Axis(round(cells_per_mm * side_mm), -side_mm / 2, side_mm / 2)
    middle_mm, top_mm = area["height_mm"] / 2, layer["top_mm"]
    depth = Axis(round(cells_per_mm * thickness_mm), top_mm - middle_mm, top_mm + thickness_mm - middle_mm)
    return side, side, depth


def _drive(row: dict[str, str]) -> Drive:
    return Drive(
        population=row["name"],
        rate_hz=float(row["drive_rate_hz"]),
        weight=float(row["drive_weight_ns"]),
        delay_ms=float(row["drive_delay_ms"]),
        start_ms=float(row["drive_start_ms"]),
    )


def _projection(row: dict[str, str], mask: Box | None) -> Projection:
    return Projection(
        source=row["source"],
        target=row["target"],
        rule=Bernoulli(float(row["p_center"]), float(row["sigma_mm"]), mask),
        weight=_weight(row),
        delay_ms=float(row["delay_ms"]),
    )


def _weight(row: dict[str, str]) -> Constant | Lognormal:
    if row["weight"] == "constant":
        return Constant(float(row["weight_ns"]))
    return Lognormal(float(row["mu"]), float(row["sigma"]))
