# SPDX-License-Identifier: GPL-2.0-or-later
"""What the series of a body are called: a quantity and its unit, as in ``joint_speed_rad_s``."""

from __future__ import annotations

UNITS = {"rad_s": "rad/s", "m_s": "m/s", "N_m": "N m", "ms": "ms", "rad": "rad", "m": "m", "N": "N"}


def quantity(series: str) -> tuple[str, str]:
    """Quantity in words, and unit; that of mere numbers is 1."""
    for ending, unit in UNITS.items():
        if series.endswith(f"_{ending}"):
            return series.removesuffix(f"_{ending}").replace("_", " "), unit
    return series.replace("_", " "), "1"
