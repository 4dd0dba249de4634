# SPDX-License-Identifier: GPL-2.0-or-later
"""What sinks read that is more than one variable of one node.

Samples of multimeters (``samples.cpp``) and weights of projections (``weight_sinks.cpp``).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from cosim.devices.base import Samples, Weights
from cosim.engines.nest.nestlink.library import Library, Signatures, view
from cosim.errors import BrainError, nearest

BLOCK_SIGNATURES: Signatures = {
    "nestlink_add_samples": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p]),
    "nestlink_offer_backend": (ctypes.c_int, [ctypes.c_char_p]),
    "nestlink_count_delays": (ctypes.c_int, [ctypes.c_int]),
    "nestlink_add_weights": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]),
    "nestlink_count_weights": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p]),
    "nestlink_ends_of_weights": (ctypes.c_int, [ctypes.c_void_p] * 3),
    "nestlink_taken_weights": (None, [ctypes.c_void_p] * 3),
    "nestlink_forget_weights": (None, [ctypes.c_void_p]),
}
# The recording backend of multimeters that are read through `Samples`.
BACKEND = "cosim"


class _Samples(ctypes.Structure):
    """As in ``sink_block.h``."""

    _fields_ = [
        ("node_id", ctypes.c_long),
        ("neurons", ctypes.c_void_p),
        ("count", ctypes.c_long),
        ("interval_ms", ctypes.c_double),
        ("samples", ctypes.c_long),
        ("variables", ctypes.c_long),
    ]


class _Weights(ctypes.Structure):
    """As in ``sink_block.h``."""

    _fields_ = [
        ("sources", ctypes.c_void_p),
        ("source_count", ctypes.c_long),
        ("targets", ctypes.c_void_p),
        ("target_count", ctypes.c_long),
        ("edges", ctypes.c_void_p),
        ("edge_count", ctypes.c_long),
        ("every", ctypes.c_long),
        ("full_every", ctypes.c_long),
    ]


def add_block(link: Library, sinks: ctypes.c_void_p, block: Samples | Weights, place: int) -> AllWeights | None:
    """Let ``sinks`` read a block, too, to the places of the message from ``place`` on. After ``nest.Prepare()``.

    Returns the weights that are kept for the record, if any. They live as long as ``sinks``.
    """
    if isinstance(block, Weights):
        weights = _add_weights(link, sinks, block, place)
        return AllWeights(link, weights, block) if block.full_every else None
    _add_samples(link, sinks, block, place)
    return None


def _add_samples(link: Library, sinks: ctypes.c_void_p, block: Samples, place: int) -> None:
    count = block.node_id, block.neurons.ctypes.data, len(block.neurons)
    spec = _Samples(*count, block.interval_ms, block.samples, block.variables)
    if link.lib.nestlink_add_samples(sinks, place, ctypes.byref(spec)):
        link.fail(f"could not read multimeter {block.node_id}")


def _add_weights(link: Library, sinks: ctypes.c_void_p, block: Weights, place: int) -> ctypes.c_void_p:
    edges, weights = np.array(block.edges), ctypes.c_void_p()
    ends = (each for neurons in (block.sources, block.targets) for each in _array(neurons.node_ids))
    spec = _Weights(*ends, *_array(edges), block.every, block.full_every)
    if link.lib.nestlink_add_weights(sinks, place, ctypes.byref(spec), ctypes.byref(weights)):
        link.fail(f"could not read weights for {block.name}")
    return weights


def _array(values: np.ndarray) -> tuple[int, int]:
    return values.ctypes.data, len(values)


class AllWeights:
    """`KeptWeights` of a projection; neurons go by their numbers in their populations."""

    def __init__(self, link: Library, weights: ctypes.c_void_p, block: Weights) -> None:
        self._lib, self._weights, self.name = link.lib, weights, block.name
        source, target = block.sources.population, block.targets.population
        self.attributes: Mapping[str, Any] = {"source": source, "target": target, "every": block.full_every}
        count = ctypes.c_long()
        failed = self._lib.nestlink_count_weights(weights, ctypes.byref(count))
        ids = np.empty((2, count.value), dtype=np.int64)
        if failed or self._lib.nestlink_ends_of_weights(weights, *(each.ctypes.data for each in ids)):
            link.fail(f"could not list synapses for {block.name}")
        self.source_ids, self.target_ids = (
            np.array(neurons.numbers)[np.searchsorted(neurons.node_ids, own)]
            for neurons, own in zip((block.sources, block.targets), ids, strict=True)
        )

    def taken(self) -> np.ndarray:
        """Weights since the last `forget`, time after time; a view that is valid until the next step."""
        place, count = ctypes.c_void_p(), ctypes.c_long()
        self._lib.nestlink_taken_weights(self._weights, ctypes.byref(place), ctypes.byref(count))
        return view(place, count.value, ctypes.c_double)

    def forget(self) -> None:
        """Drop them."""
        self._lib.nestlink_forget_weights(self._weights)


def make_multimeter(
    nest: ModuleType, link: Library, what: str, neurons: Any, interval_ms: float, variables: Sequence[str]
) -> int:
    """A multimeter on neurons, for `Samples`; returns its node id. Collective, before ``nest.Prepare()``.

    What is recorded leaves all spikes as they are: its connections do not count in NEST's smallest delay.

    Raises:
        BrainError: neurons do not have such variables; on all ranks. ``what`` it is for is told.
    """
    for model in sorted({neurons.get("model")} if len(neurons) == 1 else {*neurons.get("model")}):
        known = [str(each) for each in nest.GetDefaults(model).get("recordables", ())]
        if unknown := [name for name in variables if name not in known]:
            raise BrainError(f"{what}: {model} has no variable {unknown[0]!r} to record; {nearest(unknown[0], known)}")
    if link.lib.nestlink_offer_backend(BACKEND.encode()):
        link.fail("could not register a recording backend")
    parameters = {"record_to": BACKEND, "interval": interval_ms, "record_from": list(variables)}
    meter = nest.Create("multimeter", params=parameters)
    with _uncounted_delays(link):
        nest.Connect(meter, neurons, syn_spec={"delay": nest.min_delay})
    return meter.global_id


@contextmanager
def _uncounted_delays(link: Library) -> Iterator[None]:
    """Connections that are made meanwhile leave NEST's smallest and largest delay as they are."""
    link.lib.nestlink_count_delays(False)
    try:
        yield
    finally:
        link.lib.nestlink_count_delays(True)
