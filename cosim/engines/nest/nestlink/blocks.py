# SPDX-License-Identifier: GPL-2.0-or-later
"""What sinks read that is more than one variable of one node: samples of multimeters (``samples.cpp``)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from cosim.devices.base import Samples
from cosim.engines.nest.nestlink.library import Library, Signatures
from cosim.errors import BrainError, nearest

BLOCK_SIGNATURES: Signatures = {
    "nestlink_add_samples": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p]),
    "nestlink_offer_backend": (ctypes.c_int, [ctypes.c_char_p]),
    "nestlink_count_delays": (ctypes.c_int, [ctypes.c_int]),
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


def add_block(link: Library, sinks: ctypes.c_void_p, block: Samples, place: int) -> None:
    """Let ``sinks`` read a block, too, to the places of the message from ``place`` on. After ``nest.Prepare()``."""
    count = block.node_id, block.neurons.ctypes.data, len(block.neurons)
    spec = _Samples(*count, block.interval_ms, block.samples, block.variables)
    if link.lib.nestlink_add_samples(sinks, place, ctypes.byref(spec)):
        link.fail(f"could not read multimeter {block.node_id}")


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
