# SPDX-License-Identifier: GPL-2.0-or-later
"""The files beside this one, and what a region makes of them."""

from __future__ import annotations

import csv
import tomllib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosim.network import Axis, Box, Drive, Grid, Population, Projection

HERE = Path(__file__).parent
# NEST 3.0, which ran the benchmark, put free positions into a box 0.1 mm larger on every side.
MARGIN_MM = 0.2


@dataclass(frozen=True)
class Patch:
    """What part of the full sheets is built: a square of ``side_mm``, as which variant."""

    side_mm: float
    variant: str

    @property
    def as_run(self) -> bool:
        """As the benchmark did."""
        return self.variant == "as_run"

    @property
    def is_linked(self) -> bool:
        """With the pathways between regions."""
        return self.variant == "loop"

    def number(self, full: int) -> int:
        """How many of ``full`` cells of a whole nucleus there are."""
        return round(full * self.side_mm**2)


@dataclass(frozen=True)
class Part:
    """Tables of one region."""

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    drives: tuple[Drive, ...] = ()


def toml(file_name: str) -> dict[str, Any]:
    """The content of a TOML file."""
    return tomllib.loads((HERE / file_name).read_text())


def rows(file_name: str) -> list[dict[str, str]]:
    """The rows of a CSV table; lines that start with # are comments."""
    lines = (HERE / file_name).read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def grid(axes: tuple[Axis, ...], patch: Patch) -> Grid:
    """A grid of the benchmark's extent, wrapped as run there and bounded else."""
    return Grid(axes, tuple(axis.span_mm + MARGIN_MM for axis in axes), wrapped=patch.as_run)


def sheet(points_per_mm: int, cells_per_point: int, patch: Patch) -> Grid:
    """A flat square of int(points_per_mm * side) points a side."""
    points = int(points_per_mm * patch.side_mm + 1e-9)
    side = Axis(points, -patch.side_mm / 2, patch.side_mm / 2)
    return grid((side, side, Axis(cells_per_point, 0.0, 0.0)), patch)


def box(reach_mm: list[float]) -> Box:
    """The mask around a neuron with these half widths."""
    return Box(tuple(-reach for reach in reach_mm), tuple(reach_mm))


def shape_seed(name: str) -> int:
    """Fixes where the cells of a scattered nucleus lie."""
    return zlib.crc32(name.encode())
