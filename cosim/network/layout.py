# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the neurons of a population are: on a regular grid, scattered over a plane, or nowhere in particular.

All layouts give ``size`` and ``positions_mm``; lengths are in mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Axis:
    """``count`` equally spaced planes from ``low_mm`` to ``high_mm``, both included.

    A single plane lies at ``low_mm``.
    """

    count: int
    low_mm: float
    high_mm: float

    @cached_property
    def planes_mm(self) -> np.ndarray:
        """Coordinates in ascending order, shape (count,)."""
        return np.linspace(self.low_mm, self.high_mm, self.count)

    @property
    def span_mm(self) -> float:
        """Distance of the outermost planes, 0 for a single one."""
        return self.high_mm - self.low_mm if self.count > 1 else 0.0

    @property
    def centre_mm(self) -> float:
        return (self.planes_mm[0] + self.planes_mm[-1]) / 2


@dataclass(frozen=True)
class Grid:
    """A regular grid in a box of ``extent_mm`` about its centre; ``wrapped`` joins opposite faces.

    An axis of no span holds several neurons at each point.

    Examples:
        >>> from cosim.network import Axis, Grid
        >>> side = Axis(3, 0.0, 0.2)
        >>> sheet = Grid((side, side), extent_mm=(0.3, 0.3), wrapped=True)
        >>> sheet.size
        9
        >>> sheet.positions_mm[1].tolist()
        [0.0, 0.1]
    """

    axes: tuple[Axis, ...]
    extent_mm: tuple[float, ...]
    wrapped: bool

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(axis.count for axis in self.axes)

    @property
    def positions_mm(self) -> np.ndarray:
        """Shape (size, dimensions); node order: the last axis runs fastest, as in C arrays."""
        planes = np.meshgrid(*(axis.planes_mm for axis in self.axes), indexing="ij")
        return np.stack([plane.ravel() for plane in planes], axis=1)


@dataclass(frozen=True)
class Scattered:
    """A random choice of the points of a square grid in the x-y plane, in random order: any few of them lie spread.

    The grid has ceil(sqrt(size)) points a side, the first at (``low_mm``, ``low_mm``) and the last one spacing before
    ``low_mm`` + ``side_mm``. ``seed`` alone decides which points are taken, so that a nucleus keeps its shape whatever
    the seed of the experiment.
    """

    size: int
    low_mm: float
    side_mm: float
    seed: int

    @cached_property
    def positions_mm(self) -> np.ndarray:
        """Shape (size, 2)."""
        side = math.ceil(math.sqrt(self.size))
        chosen = np.random.default_rng(self.seed).permutation(side**2)[: self.size]
        return self.low_mm + self.side_mm / max(side, 1) * np.stack(np.divmod(chosen, max(side, 1)), axis=1)


@dataclass(frozen=True)
class Unplaced:
    """Neurons without positions."""

    size: int


Placed = Grid | Scattered
Layout = Placed | Unplaced
