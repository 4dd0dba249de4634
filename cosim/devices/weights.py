# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "weights"``: the weights of all synapses from a source population onto the sink's populations, its targets.

They are read at the end of every coupling step, or of every n-th: between readings the port shows the last one, and
before the first the weights at the start of the run. Weights are in the unit of the targets' neurons, nS or pA. A
plastic synapse changes its weight when a spike of its source arrives, so what is read is what the last such spike left.

The mean is that of the weights rounded to multiples of 2^-44, and exact; it does not depend on the split into ranks and
threads. The histogram counts the weights below the first edge, from each edge to below the next, and from the last
edge on. ``run.h5`` has them as ``exchange/readout/<sink>.mean``, ``<sink>.count`` and ``<sink>.histogram``.

With ``full_every = n`` all weights at the start and after every n steps are in ``weights.h5``, which
`cosim.record.weights` describes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from cosim.devices.base import DevicePart, Footprint, SinkTable, Site, Weights

# The sum of all weights in the message: a high and a low part, in whole parts of a weight (weight_sinks.cpp).
LOW_BITS, WEIGHT_BITS = 40, 44
SUM_VALUES = 2
POINTER_BYTES, ENDS_BYTES, WEIGHT_BYTES = 8, 16, 8


class WeightsPort:
    """What a transfer function sees of the weights of a projection."""

    __slots__ = ("_values", "edges", "name")

    def __init__(self, name: str, values: np.ndarray, edges: tuple[float, ...]) -> None:
        self.name, self._values, self.edges = name, values, edges

    @property
    def mean(self) -> float:
        """Mean weight, in the unit of the targets' neurons; NaN where there is no synapse, 0 before the first step."""
        return float(self._values[0])

    @property
    def count(self) -> int:
        """Number of synapses."""
        return int(self._values[1])

    @property
    def histogram(self) -> np.ndarray:
        """How many weights are below the first of ``edges``, from it to the next, ..., from the last on; a copy."""
        return self._values[SUM_VALUES:].copy()


class ProjectionWeights(SinkTable):
    """The weights of a projection; see the head of its file."""

    kind: Literal["weights"] = "weights"
    source: str = Field(min_length=1, description="population whose synapses onto `populations` are read, or a part")
    edges: tuple[float, ...] = Field((0.0,), min_length=1, description="of the histogram, in the unit of the weights")
    every: int = Field(1, ge=1, description="coupling steps between readings")
    full_every: int = Field(0, ge=0, description="coupling steps between records of all weights; 0 for none")

    quantity: ClassVar[str] = "weight"
    unit: ClassVar[str] = "1"
    model: ClassVar[str] = "synapses"

    @property
    def bytes_per_synapse(self) -> int:
        """Where its weight lies; for the record also its ends, and a weight that waits to be written."""
        return POINTER_BYTES + (ENDS_BYTES + WEIGHT_BYTES if self.full_every else 0)

    def problems(self, step_ms: float, resolution_ms: float) -> Iterator[str]:
        """Edges that do not ascend."""
        if any(low >= high for low, high in pairwise(self.edges)):
            yield f"edges = {list(self.edges)}: must ascend"

    def parts(self, neurons: int, step_ms: float) -> tuple[DevicePart, ...]:
        """Mean, number of synapses, histogram."""
        bins = DevicePart("histogram", (len(self.edges) + 1,), "synapse count", "1", {"edges": list(self.edges)})
        return DevicePart("mean", (), self.quantity, self.unit), DevicePart("count", (), "synapse count", "1"), bins

    def make_port(self, name: str, values: np.ndarray) -> WeightsPort:
        """With ``mean``, ``count``, ``histogram`` and ``edges``."""
        return WeightsPort(name, values, self.edges)

    def settle(self, values: np.ndarray) -> None:
        """From the sum of all weights, their mean."""
        total = (int(values[0]) << LOW_BITS) + int(values[1])
        count = int(values[SUM_VALUES:].sum())
        values[:SUM_VALUES] = total / (count << WEIGHT_BITS) if count else math.nan, count

    def create(self, site: Site) -> list[Weights]:
        """Nothing in NEST: the synapses are read where they are."""
        assert site.ends is not None  # as there is a ``source``
        return [Weights(site.name, *site.ends, self.edges, self.every, self.full_every)]

    def footprint(self, neurons: int) -> Footprint:
        """No nodes and no connections; what it takes depends on the synapses."""
        return Footprint()
