# SPDX-License-Identifier: GPL-2.0-or-later
"""What the series of a body are called: a quantity and its unit, as in ``joint_speed_rad_s``."""

from __future__ import annotations

UNITS = {"rad_s": "rad/s", "m_s": "m/s", "N_m": "N m", "ms": "ms", "rad": "rad", "m": "m", "N": "N"}


def quantity(series: str) -> tuple[str, str]:
    """Quantity in words, and unit; the unit is empty for mere numbers."""
    for ending, unit in UNITS.items():
        if series.endswith(f"_{ending}"):
            return series.removesuffix(f"_{ending}").replace("_", " "), unit
    return series.replace("_", " "), ""


def label(series: str) -> str:
    """For an axis or a heading: ``joint speed (rad/s)``."""
    name, unit = quantity(series)
    return f"{name} ({unit})" if unit else name
