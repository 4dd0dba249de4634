# SPDX-License-Identifier: GPL-2.0-or-later
"""Change parameters of neurons and weights of synapses between two steps, and read them: calls of ``changes.cpp`` and
``weights.cpp``. None is collective; each is for the nodes or synapses of this rank."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from cosim.engines.nest.nestlink.library import Library, Signatures

_NODES = (ctypes.c_void_p, ctypes.c_long)
_NAMES = (ctypes.POINTER(ctypes.c_char_p), ctypes.c_long)
_NAMES_BYTES = 2**16

CHANGING_SIGNATURES: Signatures = {
    "nestlink_are_own": (ctypes.c_int, [*_NODES, ctypes.c_void_p]),
    "nestlink_settable": (ctypes.c_int, [*_NODES, ctypes.c_char_p, ctypes.c_long]),
    "nestlink_get_parameters": (ctypes.c_int, [*_NODES, *_NAMES, ctypes.c_void_p]),
    "nestlink_check_parameters": (ctypes.c_int, [*_NODES, *_NAMES, ctypes.c_void_p]),
    "nestlink_set_parameters": (ctypes.c_int, [*_NODES, *_NAMES, ctypes.c_void_p]),
    "nestlink_scale_weights": (ctypes.c_int, [*_NODES, *_NODES, ctypes.c_double, ctypes.c_void_p]),
    "nestlink_undo_scaling": (ctypes.c_int, []),
    "nestlink_forget_scaling": (ctypes.c_int, []),
}


class Changing(Library):
    """The part of ``Nestlink`` for changes between two steps; ``node_ids`` are (n,) int64, contiguous.

    Tables of values are (names, n) float64, contiguous: a row for each name, a column for each node.
    """

    def own(self, node_ids: np.ndarray) -> np.ndarray:
        """Those neurons that are on this rank, (k,) int64."""
        own = np.zeros(len(node_ids), dtype=bool)
        self._check(self.lib.nestlink_are_own(*_nodes(node_ids), own.ctypes.data), "no such neurons")
        return node_ids[own]

    def settable(self, node_ids: np.ndarray) -> list[str]:
        """The names of all numbers that NEST takes for these nodes, of any rank."""
        names = ctypes.create_string_buffer(_NAMES_BYTES)
        code = self.lib.nestlink_settable(*_nodes(node_ids), names, len(names))
        self._check(code, "could not find out what can be set")
        return names.value.decode().split()

    def parameters(self, node_ids: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """A table of what neurons of this rank have, numbers of any kind.

        Raises:
            NestlinkError: a neuron has no such number.
        """
        values = np.empty((len(names), len(node_ids)))
        code = self.lib.nestlink_get_parameters(*_nodes(node_ids), *_as_c(names), values.ctypes.data)
        self._check(code, "could not read parameters")
        return values

    def check_parameters(self, node_ids: np.ndarray, names: Sequence[str], values: np.ndarray) -> None:
        """Find out if NEST takes a table of values for neurons of this rank, and change nothing.

        Raises:
            NestlinkError: what NEST says of the first neuron for which it does not.
        """
        code = self.lib.nestlink_check_parameters(*_nodes(node_ids), *_as_c(names), values.ctypes.data)
        self._check(code, "NEST refuses it")

    def set_parameters(self, node_ids: np.ndarray, names: Sequence[str], values: np.ndarray) -> None:
        """Set a table of values that NEST takes; some act only after ``pre_run_hook``."""
        code = self.lib.nestlink_set_parameters(*_nodes(node_ids), *_as_c(names), values.ctypes.data)
        self._check(code, "could not set parameters")

    def scale_weights(self, sources: np.ndarray, targets: np.ndarray, factor: float) -> int:
        """Multiply the weights of all synapses from ``sources``, neurons or devices, onto ``targets``, neurons.

        Returns how many there are on this rank.

        Raises:
            NestlinkError: some have no weight of their own; all are as they were.
        """
        scaled = ctypes.c_long()
        code = self.lib.nestlink_scale_weights(*_nodes(sources), *_nodes(targets), factor, ctypes.byref(scaled))
        self._check(code, "could not scale weights")
        return scaled.value

    def undo_scaling(self) -> None:
        """Give synapses that were scaled last the weights of before, bit for bit; they must still be there."""
        self._check(self.lib.nestlink_undo_scaling(), "could not take weights back")

    def forget_scaling(self) -> None:
        """Free the weights of before, 8 bytes for each synapse that was scaled last."""
        self._check(self.lib.nestlink_forget_scaling(), "could not free weights")


def _nodes(node_ids: np.ndarray) -> tuple[int, int]:
    return node_ids.ctypes.data, len(node_ids)


def _as_c(names: Sequence[str]) -> tuple[ctypes.Array, int]:
    return (ctypes.c_char_p * len(names))(*(name.encode() for name in names)), len(names)
