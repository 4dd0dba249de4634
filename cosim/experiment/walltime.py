# SPDX-License-Identifier: GPL-2.0-or-later
"""Wall times as people and Slurm write them, such as ``55min``, ``90s``, ``1.5h``, ``HH:MM:SS``.

A bare number is of seconds wherever cosim reads a time; in Slurm's own options it is of minutes.
"""

from __future__ import annotations

import re
import threading

# What Python can wait for, in s: 292 years.
LONGEST_S = threading.TIMEOUT_MAX
UNITS_S = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# Slurm's: minutes:seconds, hours:minutes:seconds, and days-hours[:minutes[:seconds]] (man sbatch, --time).
SLURM = re.compile(r"(?:(\d{1,9})-)?(\d{1,9})(?::(\d{1,9}))?(?::(\d{1,9}))?")
NUMBER_AND_UNIT = re.compile(rf"(\d+(?:\.\d*)?|\.\d+) *({'|'.join(UNITS_S)})?")
ALLOWED = "must be a time such as 55min, 90s, 1.5h, HH:MM:SS, D-HH:MM:SS or a number of seconds, more than 0"


def seconds(text: str) -> float:
    """The time that ``text`` tells. Raises ValueError with what is allowed."""
    value_s = _of_unit(text.strip()) or _of_slurm(text.strip())
    if not 0 < value_s <= LONGEST_S:
        raise ValueError(f"{text!r}: {ALLOWED}")
    return value_s


def _of_unit(text: str) -> float:
    """0 for what is no number with or without a unit."""
    match = NUMBER_AND_UNIT.fullmatch(text)
    return float(match[1]) * UNITS_S[match[2] or "s"] if match else 0.0


def _of_slurm(text: str) -> float:
    """0 for what Slurm would not take."""
    match = SLURM.fullmatch(text)
    if not match:
        return 0.0
    days, *parts = match.groups()
    given = [int(part) for part in parts if part is not None]
    if days is None and len(given) < 3:
        given = [0, *given]  # the first number is of minutes
    hours, minutes, rest_s = [*given, 0, 0][:3]
    return float(86400 * int(days or 0) + 3600 * hours + 60 * minutes + rest_s)
