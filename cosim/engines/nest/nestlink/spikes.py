# SPDX-License-Identifier: GPL-2.0-or-later
"""Spikes that sinks read and sources send in a step. ``taps.cpp`` and ``injectors.cpp`` say how."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from cosim.devices.base import Injection, Tapping
from cosim.engines.nest.nestlink.library import Signatures, view
from cosim.engines.nest.nestlink.stepping import Stepping, open_handle

SPIKES_SIGNATURES: Signatures = {
    "nestlink_open_taps": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p]),
    "nestlink_read_taps": (ctypes.c_int, [ctypes.c_void_p] * 4),
    "nestlink_close_taps": (None, [ctypes.c_void_p]),
    "nestlink_inject": (ctypes.c_int, [*[ctypes.c_void_p] * 3, ctypes.c_long]),
}


class _TappedNeurons(ctypes.Structure):
    """As in ``taps.cpp``."""

    _fields_ = [
        ("place", ctypes.c_long),
        ("window_steps", ctypes.c_long),
        ("node_ids", ctypes.c_void_p),
        ("count", ctypes.c_long),
        ("first_number", ctypes.c_long),
        ("number_step", ctypes.c_long),
    ]


class _InjectedNodes(ctypes.Structure):
    """As in ``injectors.cpp``."""

    _fields_ = [
        (name, ctypes.c_long) for name in ("generator", "first_injector", "injectors", "first_number", "number_step")
    ]


class Taps:
    """Sinks of spikes, (place in the readout, neurons) each. Opened after the last ``Create``."""

    def __init__(self, link: Stepping, sinks: Sequence[tuple[int, Tapping]]) -> None:
        self._link = link
        table = (_TappedNeurons * len(sinks))(*(_tapped(place, neurons) for place, neurons in sinks))
        self._handle = open_handle(self, link, "taps", table, len(sinks))

    def read(self, values: np.ndarray) -> np.ndarray:
        """Write to the places of all sinks in ``values`` how many spikes neurons of this rank had in the step.

        Returns the spikes of those that list them, sink by sink all times in ms and then all numbers of neurons,
        float64: a view that is valid until the next call.

        Raises:
            NestlinkError: no memory for them.
        """
        message, length = ctypes.c_void_p(), ctypes.c_long()
        places = ctypes.byref(message), ctypes.byref(length)
        if self._link.lib.nestlink_read_taps(self._handle, values.ctypes.data, *places):
            self._link.fail("could not take over spikes of sinks")
        return view(message, length.value, ctypes.c_double)


def _tapped(place: int, neurons: Tapping) -> _TappedNeurons:
    ids, numbers = neurons.node_ids, neurons.numbers
    return _TappedNeurons(place, neurons.window_steps, ids.ctypes.data, len(ids), numbers.start, numbers.step)


class Injector:
    """Sends spikes to neurons of this rank."""

    def __init__(self, link: Stepping, nodes: Injection) -> None:
        first_id, numbers = nodes.first_injector_id, nodes.numbers
        self._link = link
        self._nodes = _InjectedNodes(nodes.generator_id, first_id, len(numbers), numbers.start, numbers.step)

    def send(self, times_ms: np.ndarray, numbers: np.ndarray) -> None:
        """Send spikes at ``times_ms``, each to the neuron of this number or, if it is -1, to all; (n,) float64.

        Times lie on NEST's grid, after its own time; they act from the next `Stepper.run` on. On all ranks alike.
        """
        source, arrays = ctypes.byref(self._nodes), (times_ms.ctypes.data, numbers.ctypes.data)
        if self._link.lib.nestlink_inject(source, *arrays, len(times_ms)):
            self._link.fail("could not inject spikes")
