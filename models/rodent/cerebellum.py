# SPDX-License-Identifier: GPL-2.0-or-later
"""Cerebellum: two modules of six sheets."""

from __future__ import annotations

from cosim.network import Bernoulli, Constant, Population, Projection
from models.rodent.tables import Part, Patch, box, sheet, toml

MODULES = ("CB_M1", "CB_S1")
POINTS_PER_MM = 32
DELAY_MS = 1.0


def cerebellum(module: str, patch: Patch) -> Part:
    """The tables of one module."""
    tables = toml("cerebellum.toml")
    return Part(
        tuple(_population(kind, cells, module, tables, patch) for kind, cells in tables["cells_per_point"].items()),
        tuple(_projection(row, module, patch) for row in tables["projections"]),
    )


def _population(kind: str, cells_per_point: int, module: str, tables: dict, patch: Patch) -> Population:
    return Population(
        name=f"{module}_{kind}",
        region=module,
        neuron_model=tables["neuron_model"],
        parameters=tables["parameters"][kind],
        layout=sheet(POINTS_PER_MM, cells_per_point, patch),
        v_m=Constant(tables["v_m_mv"]),
        cell_type=kind,
    )


def _projection(row: dict, module: str, patch: Patch) -> Projection:
    """Mossy fibres are silent without cortex; their weight was tuned for a brain that has it."""
    weight_ns = row.get("tuned_weight_ns", row["weight_ns"]) if patch.is_linked else row["weight_ns"]
    return Projection(
        source=f"{module}_{row['source']}",
        target=f"{module}_{row['target']}",
        rule=Bernoulli(row["p_center"], row.get("sigma_mm"), box(row["mask_reach_mm"])),
        weight=Constant(weight_ns),
        delay_ms=DELAY_MS,
    )
