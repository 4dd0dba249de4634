# SPDX-License-Identifier: GPL-2.0-or-later
"""Times that must lie on a grid of others."""

import math


def is_multiple(whole: float, part: float) -> bool:
    """Whether ``whole`` is a positive multiple of ``part``, up to the rounding of decimal fractions."""
    ratio = whole / part
    return math.isfinite(ratio) and round(ratio) >= 1 and abs(ratio - round(ratio)) <= 1e-9 * ratio
