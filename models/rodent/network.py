# SPDX-License-Identifier: GPL-2.0-or-later
"""The rodent brain of Feldotto et al. 2022 as network tables; the numbers are in the files beside it."""

import csv
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field

from cosim.brain.layout import Axis, Grid
from cosim.brain.network import Drive, Network, Population, Projection
from cosim.brain.rules import Bernoulli, Box
from cosim.brain.values import Constant, Lognormal, UniformOnce
from cosim.config import Table

HERE = Path(__file__).parent
VARIANTS = ("as_run", "clean")
# Below, populations shrink to single columns of cells and vanish; above, nothing was published.
PATCH_MM = (0.1, 1.0)
# NEST 3.0, which ran the benchmark, put free positions into a box 0.1 mm larger on every side.
MARGIN_MM = 0.2


class Parameters(Table):
    """What ``[brain]`` in experiment.toml may say of this model."""

    regions: tuple[str, ...] = Field(("M1",), min_length=1)
    variant: Literal[VARIANTS] = "as_run"
    patch_mm: float = Field(0.25, ge=PATCH_MM[0], le=PATCH_MM[1], description="side of the square sheet")


def network(regions: tuple[str, ...] = ("M1",), variant: str = "as_run", patch_mm: float = 0.25) -> Network:
    """The tables of some regions for a square patch of side ``patch_mm``; the full sheet is 1 mm.

    ``as_run`` is what the published benchmark built: wrapped sheets, where a mask wider than the sheet offers
    a pair up to eight times. ``clean`` is what the tables say: a bounded patch, each ordered pair offered
    once. Probabilities do not change with the patch, so the in-degree falls with it. Raises ValueError with
    all problems for an unknown region or variant and for a patch outside 0.1 to 1.0 mm.
    """
    tables = tomllib.loads((HERE / "regions.toml").read_text())
    _check(regions, variant, patch_mm, tuple(tables))
    populations, projections, drives = [], [], []
    for name in regions:
        region, wrapped = tables[name], variant == "as_run"
        rows = _rows(f"populations_{name.lower()}.csv")
        populations += [_population(row, name, region, patch_mm, wrapped) for row in rows]
        drives += [_drive(row) for row in rows]
        mask = _mask(region["mask_reach_mm"]) if wrapped else None
        projections += [_projection(row, mask) for row in _rows(f"projections_{name.lower()}.csv")]
    return Network(tuple(populations), tuple(projections), tuple(drives))


def full_network(regions: tuple[str, ...], variant: str, patch_mm: float) -> Network:
    """The same network on the full sheet of 1 mm, whatever ``patch_mm``: what sink weights refer to."""
    return network(regions, variant, PATCH_MM[1])


def _check(regions: tuple[str, ...], variant: str, patch_mm: float, known: tuple[str, ...]) -> None:
    problems = [
        f"unknown region '{name}' of the rodent brain, there are: {', '.join(known)}"
        for name in regions
        if name not in known
    ]
    if variant not in VARIANTS:
        problems.append(f"unknown variant '{variant}' of the rodent brain, there are: {', '.join(VARIANTS)}")
    if not PATCH_MM[0] <= patch_mm <= PATCH_MM[1]:
        problems.append(f"patch_mm is {patch_mm}, must lie in {PATCH_MM[0]} to {PATCH_MM[1]} mm")
    if problems:
        raise ValueError("\n".join(problems))


def _rows(file_name: str) -> list[dict[str, str]]:
    """The rows of a CSV table; lines that start with # are comments."""
    lines = (HERE / file_name).read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def _population(
    row: dict[str, str], region_name: str, region: dict, patch_mm: float, wrapped: bool
) -> Population:
    parameters = region["parameters"] | region["cell_types"][row["cell_type"]]
    axes = _axes(region, region["layers"][row["layer"]], float(row["density_per_mm2"]), patch_mm)
    extent_mm = tuple(axis.span_mm + MARGIN_MM for axis in axes)
    return Population(
        name=row["name"],
        region=region_name,
        layer=row["layer"],
        cell_type=row["cell_type"],
        neuron_model=region["neuron_model"],
        parameters=parameters,
        layout=Grid(axes, extent_mm, wrapped),
        v_m=UniformOnce(parameters["V_reset"], parameters["V_th"]),
    )


def _axes(region: dict, layer: dict, density_per_mm2: float, patch_mm: float) -> tuple[Axis, Axis, Axis]:
    """A cubic lattice of the layer's density, each side rounded to whole cells, as the benchmark built it."""
    thickness_mm = layer["thickness_mm"]
    cells_per_mm = (density_per_mm2 / thickness_mm) ** (1 / 3)
    side_mm = region["side_mm"] * patch_mm
    side = Axis(round(cells_per_mm * side_mm), -side_mm / 2, side_mm / 2)
    middle_mm, top_mm = region["height_mm"] / 2, layer["top_mm"]
    depth = Axis(round(cells_per_mm * thickness_mm), top_mm - middle_mm, top_mm + thickness_mm - middle_mm)
    return side, side, depth


def _mask(reach_mm: list[float]) -> Box:
    return Box(tuple(-reach for reach in reach_mm), tuple(reach_mm))


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
