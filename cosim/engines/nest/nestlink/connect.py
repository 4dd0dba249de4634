# SPDX-License-Identifier: GPL-2.0-or-later
"""Make synapses inside the NEST kernel, much faster than NEST's own rules and the same for every split.

Which neurons are joined, and with what weights, depends on the projection's ``key`` and on the number of the
target in its population only, not on NEST's seed nor on ranks, threads and virtual processes. All methods are
called on all brain ranks with the same arguments, before or between simulations, never inside
``nest.RunManager()``. They return the number of synapses made on the calling rank, and communicate nothing.

They raise NestlinkError with NEST's own message for what NEST refuses (an unknown synapse model, a receptor
that a target lacks, a bad delay); synapses made before that stay. A rank without targets sees no error: let
one rank's error end all.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cosim.engines.nest.nestlink.library import Library

MAX_AXES = 3


@dataclass(frozen=True)
class Nodes:
    """A population: ``prod(counts)`` consecutive node ids from ``first_id`` on, in C order over its grid.

    Without a grid ``counts`` is the size alone. Neurons and relays only: devices have a copy on every thread.
    """

    first_id: int
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.counts) <= MAX_AXES or min(self.counts) < 1:
            raise ValueError(f"counts is {self.counts}, must be 1 to {MAX_AXES} numbers of 1 or more")

    @property
    def size(self) -> int:
        return math.prod(self.counts)


@dataclass(frozen=True)
class AxisOffers:
    """The source planes that one axis offers to each target plane, in compressed rows.

    Target plane t is offered ``planes[starts[t]:starts[t + 1]]``, each with its factor in the probability. A
    plane that is listed twice is offered twice, in two independent trials; one that is not listed is outside
    the mask.
    """

    starts: np.ndarray
    """(target planes + 1,) int64, from 0 to the number of offers."""
    planes: np.ndarray
    """(offers,) int32."""
    factors: np.ndarray
    """(offers,) float64 in [0, 1]."""

    @classmethod
    def from_table(cls, offered: np.ndarray, factor: np.ndarray) -> AxisOffers:
        """From how often planes are offered and their factors, both (target planes, source planes)."""
        targets, planes = np.nonzero(offered)
        times = offered[targets, planes]
        starts = np.concatenate([[0], np.cumsum(offered.sum(axis=1))])
        return cls(starts, np.repeat(planes, times), np.repeat(factor[targets, planes], times))

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Starts, planes and factors as contiguous arrays of exactly the types that are listed."""
        return (
            np.ascontiguousarray(self.starts, dtype=np.int64),
            np.ascontiguousarray(self.planes, dtype=np.int32),
            np.ascontiguousarray(self.factors, dtype=np.float64),
        )


@dataclass(frozen=True)
class Synapse:
    """What the synapses of a projection look like; the rest has the defaults of the synapse model.

    ``weight`` is a number, or (mu, sigma) of lognormal weights exp(mu + sigma * z). NEST rounds ``delay_ms``
    to steps of its resolution. ``receptor`` 0 stands for the default of the synapse model, which is port 0.
    """

    model: str
    weight: float | tuple[float, float]
    delay_ms: float
    receptor: int = 0


class Connect(Library):
    """The part of ``Nestlink`` that makes synapses."""

    def connect_bernoulli(
        self,
        sources: Nodes,
        targets: Nodes,
        axes: Sequence[AxisOffers],
        synapse: Synapse,
        key: int,
        allow_autapses: bool = False,
    ) -> int:
        """Join each offered pair by a trial of its own; its probability is the product of its factors.

        ``axes`` has one entry for each axis of the populations. Exact for any factors; the time grows with
        the number of synapses and of first-axis planes, not of pairs, as long as the last axis has nearly
        equal factors.
        """
        _check_axes(sources, targets, axes)
        missing = [AxisOffers(np.array([0, 1]), np.array([0]), np.array([1.0]))] * (MAX_AXES - len(axes))
        arrays = [axis.arrays() for axis in (*axes, *missing)]  # must outlive the call
        offers = [_Offers(*(array.ctypes.data for array in of_axis)) for of_axis in arrays]
        made = ctypes.c_long()
        code = self.lib.nestlink_connect_bernoulli(
            *(_nodes(sources), _nodes(targets), (_Offers * MAX_AXES)(*offers)),
            *(_spec(synapse, key), ctypes.c_int(allow_autapses), ctypes.byref(made)),
        )
        self._check(code, _what(sources, targets, synapse))
        return made.value

    def connect_indegree(
        self,
        sources: Nodes,
        targets: Nodes,
        indegree: int,
        synapse: Synapse,
        key: int,
        positions: tuple[np.ndarray, np.ndarray] | None = None,
        radius_mm: float | None = None,
        allow_autapses: bool = True,
        allow_multapses: bool = True,
        nearest_if_empty: bool = False,
    ) -> int:
        """Give every target ``indegree`` sources, drawn uniformly, with replacement if ``allow_multapses``.

        With ``positions``, (sources, 2) and (targets, 2) in mm, sources come from the circle of ``radius_mm``
        around the target, edge included; where it is empty, from the nearest source if ``nearest_if_empty``.
        Raises NestlinkError naming a target that has too few candidates.
        """
        if indegree < 0:
            raise ValueError(f"indegree is {indegree}, must be 0 or more")
        points = _points(sources, targets, positions, radius_mm)
        rule = _Indegree(
            indegree,
            *(each.ctypes.data for each in points or ()),
            radius=radius_mm or 0.0,
            nearest_if_empty=nearest_if_empty,
            allow_autapses=allow_autapses,
            allow_multapses=allow_multapses,
        )
        made = ctypes.c_long()
        code = self.lib.nestlink_connect_indegree(
            *(_nodes(sources), _nodes(targets), ctypes.byref(rule), _spec(synapse, key), ctypes.byref(made)),
        )
        self._check(code, _what(sources, targets, synapse))
        return made.value

    def connect_pairs(self, source_ids: np.ndarray, target_ids: np.ndarray, synapse: Synapse, key: int) -> int:
        """Join exactly these pairs of node ids, both (n,) integers. Devices may be among them, as in NEST's
        Connect.

        The weight of a pair depends on ``key`` and its place in the arrays. Pairs of the same target are
        fastest in a run.
        """
        if source_ids.shape != target_ids.shape or source_ids.ndim != 1:
            raise ValueError(f"shapes of pairs are {source_ids.shape} and {target_ids.shape}, must be equal and (n,)")
        pairs = [np.ascontiguousarray(ids, dtype=np.int64) for ids in (source_ids, target_ids)]
        made = ctypes.c_long()
        code = self.lib.nestlink_connect_pairs(
            *(ctypes.c_void_p(ids.ctypes.data) for ids in pairs),
            *(ctypes.c_long(len(source_ids)), _spec(synapse, key), ctypes.byref(made)),
        )
        self._check(code, f"could not connect {len(source_ids)} pairs by {synapse.model}")
        return made.value


# How the descriptions look to connect.cpp and synapse_writer.h


class _Nodes(ctypes.Structure):
    _fields_ = [("first_id", ctypes.c_long), ("counts", ctypes.c_long * MAX_AXES)]


class _Offers(ctypes.Structure):
    _fields_ = [("starts", ctypes.c_void_p), ("planes", ctypes.c_void_p), ("factors", ctypes.c_void_p)]


class _Indegree(ctypes.Structure):
    _fields_ = [
        ("count", ctypes.c_long),
        ("source_points", ctypes.c_void_p),
        ("target_points", ctypes.c_void_p),
        ("radius", ctypes.c_double),
        ("nearest_if_empty", ctypes.c_int),
        ("allow_autapses", ctypes.c_int),
        ("allow_multapses", ctypes.c_int),
    ]


class _Synapse(ctypes.Structure):
    _fields_ = [
        ("model", ctypes.c_char_p),
        ("is_lognormal", ctypes.c_int),
        ("weight", ctypes.c_double),
        ("sigma", ctypes.c_double),
        ("delay_ms", ctypes.c_double),
        ("receptor", ctypes.c_long),
        ("key", ctypes.c_uint64),
    ]


def _nodes(nodes: Nodes) -> object:
    counts = (*nodes.counts, *[1] * (MAX_AXES - len(nodes.counts)))
    return ctypes.byref(_Nodes(nodes.first_id, counts))


def _spec(synapse: Synapse, key: int) -> object:
    if not 0 <= key < 2**64:
        raise ValueError(f"key is {key}, must be in [0, 2**64)")
    is_lognormal = isinstance(synapse.weight, tuple)
    weight, sigma = synapse.weight if isinstance(synapse.weight, tuple) else (synapse.weight, 0.0)
    if not (math.isfinite(weight) and math.isfinite(sigma) and math.isfinite(synapse.delay_ms)):
        raise ValueError(f"{synapse}: weight and delay must be finite")  # NEST takes nan for "the default"
    name = synapse.model.encode()
    return ctypes.byref(_Synapse(name, is_lognormal, weight, sigma, synapse.delay_ms, synapse.receptor, key))


def _what(sources: Nodes, targets: Nodes, synapse: Synapse) -> str:
    ends = (f"{each.first_id} to {each.first_id + each.size - 1}" for each in (sources, targets))
    return "could not connect nodes {} to nodes {} by {}".format(*ends, synapse.model)


def _check_axes(sources: Nodes, targets: Nodes, axes: Sequence[AxisOffers]) -> None:
    if not len(axes) == len(sources.counts) == len(targets.counts):
        grids = f"sources have {len(sources.counts)} axes, targets {len(targets.counts)}, offers {len(axes)}"
        raise ValueError(f"{grids}: must be equal")
    for number, (axis, from_count, to_count) in enumerate(zip(axes, sources.counts, targets.counts, strict=True)):
        rows = len(axis.starts) == to_count + 1 and axis.starts[0] == 0 and np.all(np.diff(axis.starts) >= 0)
        if not (rows and axis.starts[-1] == len(axis.planes) == len(axis.factors)):
            raise ValueError(f"axis {number}: starts must rise from 0 to {len(axis.planes)} in {to_count} rows")
        if not np.all((0 <= axis.planes) & (axis.planes < from_count)):
            raise ValueError(f"axis {number}: source planes must be in [0, {from_count})")
        if not np.all((0 <= axis.factors) & (axis.factors <= 1)):
            raise ValueError(f"axis {number}: factors must be in [0, 1]")


def _points(
    sources: Nodes, targets: Nodes, positions: tuple[np.ndarray, np.ndarray] | None, radius_mm: float | None
) -> list[np.ndarray] | None:
    if positions is None and radius_mm is None:
        return None
    if positions is None or radius_mm is None:
        raise ValueError("positions and radius_mm belong together: give both or none")
    if not 0 < radius_mm < math.inf:
        raise ValueError(f"radius_mm is {radius_mm}, must be above 0")
    points = [np.ascontiguousarray(each, dtype=np.float64) for each in positions]
    for each, nodes in zip(points, (sources, targets), strict=True):
        if each.shape != (nodes.size, 2) or not np.all(np.isfinite(each)):
            raise ValueError(f"positions have shape {each.shape}, must be ({nodes.size}, 2) and finite")
    return points
