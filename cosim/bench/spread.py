# SPDX-License-Identifier: GPL-2.0-or-later
"""Repeated measurements in three numbers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest of some repetitions."""
    return {"median": float(statistics.median(values)), "min": float(min(values)), "max": float(max(values))}


def text(values: dict[str, float], format_: str = ".3g") -> str:
    """``1.02 (1.01-1.05)``."""
    return f"{values['median']:{format_}} ({values['min']:{format_}}-{values['max']:{format_}})"
