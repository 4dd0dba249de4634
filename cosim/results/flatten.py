# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables in tables as one table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def flatten(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Keys such as ``wall_s.connect`` and ``sinks.0.name``, and their values, of what JSON and TOML hold."""
    parts: Iterable[tuple[Any, Any]]
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    else:
        yield key, value
        return
    for name, part in parts:
        yield from flatten(part, f"{key}.{name}" if key else str(name))
