# SPDX-License-Identifier: GPL-2.0-or-later
"""The spikes of a population."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Spikes(NamedTuple):
    """Spikes of one population, sorted by time and then id."""

    timestamps_ms: np.ndarray
    """(n,) float64."""
    node_ids: np.ndarray
    """(n,) uint64, from 0."""
