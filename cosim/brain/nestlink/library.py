# SPDX-License-Identifier: GPL-2.0-or-later
"""The loaded nestlink library, and how a call of it fails."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

Signatures = Mapping[str, tuple[type | None, Sequence[type]]]


class NestlinkError(RuntimeError):
    """nestlink or the NEST that it belongs to is missing, or a call into the kernel failed."""


class Library:
    """Functions of C++, checked when they are loaded; ``signatures`` has result and arguments of each."""

    signatures: Signatures = {}

    def __init__(self, path: Path) -> None:
        try:
            self._lib = ctypes.CDLL(str(path), mode=os.RTLD_NOW)
            self._lib.nestlink_error.restype = ctypes.c_char_p
            for name, (result, arguments) in self.signatures.items():
                function = getattr(self._lib, name)
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError) as error:
            raise NestlinkError(f"{path} does not fit the NEST that is loaded: {error}") from None

    def _check(self, code: int, what: str) -> None:
        if code:
            raise NestlinkError(f"{what}: {self._lib.nestlink_error().decode()}")
