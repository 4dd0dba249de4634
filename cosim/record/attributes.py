# SPDX-License-Identifier: GPL-2.0-or-later
"""Attributes of HDF5 files: short facts, each on one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np


def set_attributes(item: h5py.HLObject, values: Mapping[str, Any]) -> None:
    """Store ``values`` with a file, group or dataset; texts, also those in lists, as `one_line`."""
    for name, value in values.items():
        item.attrs[name] = _storable(value)


def one_line(text: str) -> str:
    """A text as HDF5 takes it and as it can be listed: lines joined by blanks, without NUL.

    What is no Unicode, as bytes of a path may be, becomes a question mark.
    """
    return " ".join(text.replace("\0", "").splitlines()).encode(errors="replace").decode()


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return one_line(value)
    is_list = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype.kind in "OU")
    return [_storable(each) for each in value] if is_list else value
