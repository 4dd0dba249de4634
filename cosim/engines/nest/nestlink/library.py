# SPDX-License-Identifier: GPL-2.0-or-later
"""The loaded nestlink library, and how a call of it fails."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from cosim.engines.nest.install import NestlinkError

Signatures = Mapping[str, tuple[type | None, Sequence[type]]]


class Library:
    """Functions of C++, checked when they are loaded; ``signatures`` has result and arguments of each."""

    signatures: Signatures = {}

    def __init__(self, path: Path) -> None:
        try:
            self.lib = ctypes.CDLL(str(path), mode=os.RTLD_NOW)
            self.lib.nestlink_error.restype = ctypes.c_char_p
            for name, (result, arguments) in self.signatures.items():
                function = getattr(self.lib, name)
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError) as error:
            raise NestlinkError(f"{path} does not fit the NEST that is loaded: {error}") from None

    def _check(self, code: int, what: str) -> None:
        if code:
            self.fail(what)

    def fail(self, what: str) -> NoReturn:
        """Raise NestlinkError: ``what`` did not go, and what the last call that failed has to say."""
        raise NestlinkError(f"{what}: {self.lib.nestlink_error().decode(errors='replace')}")


def view(address: ctypes.c_void_p, count: int, kind: type[ctypes.c_double] | type[ctypes.c_int64]) -> np.ndarray:
    """``count`` values of a type of ctypes that lie at ``address``, which may be NULL if there are none; not copied."""
    if not count:
        return np.empty(0, dtype=kind)
    assert address.value is not None
    array = (kind * count).from_address(address.value)
    return np.frombuffer(array, dtype=kind)  # type: ignore[call-overload]  # NumPy's types know no arrays of ctypes
