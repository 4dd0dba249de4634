# SPDX-License-Identifier: GPL-2.0-or-later
"""The spikes of a population, and those that a device exchanged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Spikes(NamedTuple):
    """Spikes of one population, sorted by time and then id."""

    timestamps_ms: np.ndarray
    """(n,) float64."""
    node_ids: np.ndarray
    """(n,) uint64, from 0."""


class ListedSpikes(NamedTuple):
    """Spikes that a source sent or a sink read, sorted by step, and in each by time and then neuron."""

    times_ms: np.ndarray
    """(n,) float64."""
    neurons: np.ndarray
    """(n,) int64, from 0 in the population; -1 for a spike to all neurons of the source."""
