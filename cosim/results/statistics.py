# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics of spike trains and of clusters of neurons, from plain arrays.

Definitions follow the analysis of clustered networks (Rostami et al. 2024): rates of clusters in bins of 1 ms
smoothed by a Gaussian of 20 ms; a cluster is active above 15 spikes/s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from cosim.results.run_data import Spikes

BIN_MS = 1.0
SMOOTHING_MS = 20.0
ACTIVE_HZ = 15.0
SHORTEST_EPISODE_MS = 50.0
FEWEST_INTERVALS = 5


def of_clusters(
    excitatory: Sequence[Spikes],
    inhibitory: Sequence[Spikes],
    size_e: int,
    size_i: int,
    start_ms: float,
    end_ms: float,
) -> dict[str, Any]:
    """All statistics of a clustered network over ``start_ms`` < t <= ``end_ms``.

    One entry of ``excitatory`` and ``inhibitory`` for each cluster, of ``size_e`` and ``size_i`` neurons.
    """
    rates_e = cluster_rates_hz(excitatory, size_e, start_ms, end_ms)
    rates_i = cluster_rates_hz(inhibitory, size_i, start_ms, end_ms)
    trains_e, trains_i = (joined(clusters, size) for clusters, size in ((excitatory, size_e), (inhibitory, size_i)))
    neurons_e, neurons_i = size_e * len(excitatory), size_i * len(inhibitory)
    return {
        "rate_e_hz": mean_rate_hz(trains_e, neurons_e, start_ms, end_ms),
        "rate_i_hz": mean_rate_hz(trains_i, neurons_i, start_ms, end_ms),
        "cv2_e": cv2(trains_e, start_ms, end_ms),
        "cv2_i": cv2(trains_i, start_ms, end_ms),
        "interval_cv_e": interval_cv(trains_e, start_ms, end_ms),
        "interval_cv_i": interval_cv(trains_i, start_ms, end_ms),
        "fano_100ms_e": fano_factor(trains_e, neurons_e, 100.0, start_ms, end_ms),
        "fano_100ms_i": fano_factor(trains_i, neurons_i, 100.0, start_ms, end_ms),
        "fano_400ms_e": fano_factor(trains_e, neurons_e, 400.0, start_ms, end_ms),
        "fano_400ms_i": fano_factor(trains_i, neurons_i, 400.0, start_ms, end_ms),
        "cluster_rate_cv": float(rates_e.std(axis=1).mean() / rates_e.mean()) if rates_e.any() else None,
        "cluster_rate_max_hz": float(rates_e.max()),
        "ei_correlation": correlation(rates_e, rates_i),
        "largest_fraction_in_1ms": largest_fraction((trains_e, trains_i), neurons_e + neurons_i, start_ms, end_ms),
        **episodes(rates_e),
    }


def joined(clusters: Sequence[Spikes], size: int) -> Spikes:
    """The spikes of all clusters of ``size`` neurons as those of one population; ids go on."""
    times_ms = [spikes.timestamps_ms for spikes in clusters]
    ids = [spikes.node_ids.astype(np.int64) + number * size for number, spikes in enumerate(clusters)]
    return Spikes(np.concatenate(times_ms), np.concatenate(ids))


def within(spikes: Spikes, start_ms: float, end_ms: float) -> Spikes:
    """Spikes at ``start_ms`` < t <= ``end_ms``."""
    chosen = (spikes.timestamps_ms > start_ms) & (spikes.timestamps_ms <= end_ms)
    return Spikes(spikes.timestamps_ms[chosen], spikes.node_ids[chosen])


def mean_rate_hz(spikes: Spikes, neurons: int, start_ms: float, end_ms: float) -> float:
    """Spikes per neuron and second.

    Examples:
        >>> import numpy as np
        >>> from cosim.results import Spikes
        >>> from cosim.results.statistics import mean_rate_hz
        >>> spikes = Spikes(np.array([10.0, 20.0, 30.0]), np.array([0, 1, 0]))
        >>> mean_rate_hz(spikes, neurons=2, start_ms=0.0, end_ms=100.0)
        15.0
    """
    return within(spikes, start_ms, end_ms).timestamps_ms.size / neurons / (end_ms - start_ms) * 1000


def intervals(spikes: Spikes, start_ms: float, end_ms: float) -> tuple[np.ndarray, np.ndarray]:
    """Times in ms between a neuron's spikes, and whose they are: neuron by neuron, each in order of time."""
    chosen = within(spikes, start_ms, end_ms)
    order = np.lexsort((chosen.timestamps_ms, chosen.node_ids))
    ids = chosen.node_ids[order]
    same = ids[1:] == ids[:-1]
    return np.diff(chosen.timestamps_ms[order])[same], ids[1:][same]


def cv2(spikes: Spikes, start_ms: float, end_ms: float, fewest: int = FEWEST_INTERVALS) -> float | None:
    """Local variation of intervals, 2 |I2 - I1| / (I2 + I1) (Holt 1996).

    Averaged in each neuron and then over neurons. Neurons with fewer than ``fewest`` intervals do not count;
    None without others.

    Examples:
        >>> import numpy as np
        >>> from cosim.results import Spikes
        >>> from cosim.results.statistics import cv2
        >>> regular = Spikes(np.arange(10.0, 100.0, 10.0), np.zeros(9, dtype=int))
        >>> cv2(regular, start_ms=0.0, end_ms=100.0)
        0.0
    """
    times_ms, ids = intervals(spikes, start_ms, end_ms)
    pairs = ids[1:] == ids[:-1]
    first_ms, second_ms = times_ms[:-1][pairs], times_ms[1:][pairs]
    _, owner, number = np.unique(ids[1:][pairs], return_inverse=True, return_counts=True)
    enough = number >= fewest - 1
    of_neurons = np.bincount(owner, 2 * np.abs(second_ms - first_ms) / (second_ms + first_ms)) / number
    return float(of_neurons[enough].mean()) if enough.any() else None


def interval_cv(spikes: Spikes, start_ms: float, end_ms: float, fewest: int = FEWEST_INTERVALS) -> float | None:
    """Standard deviation (ddof 0) over mean of a neuron's intervals, mean of neurons as in `cv2`."""
    times_ms, ids = intervals(spikes, start_ms, end_ms)
    _, owner, number = np.unique(ids, return_inverse=True, return_counts=True)
    enough = number >= fewest
    if not enough.any():
        return None
    mean_ms = np.bincount(owner, times_ms) / number
    variance = np.bincount(owner, (times_ms - mean_ms[owner]) ** 2) / number
    return float((np.sqrt(variance) / mean_ms)[enough].mean())


def fano_factor(spikes: Spikes, neurons: int, window_ms: float, start_ms: float, end_ms: float) -> float | None:
    """Variance over mean of a neuron's spike counts in windows side by side, averaged over neurons that fire.

    None with fewer than two windows or without spikes.
    """
    windows = int((end_ms - start_ms) / window_ms + 1e-9)
    chosen = within(spikes, start_ms, start_ms + windows * window_ms)
    if windows < 2 or not chosen.timestamps_ms.size:
        return None
    number = np.minimum(((chosen.timestamps_ms - start_ms) / window_ms).astype(int), windows - 1)
    place = chosen.node_ids.astype(np.int64) * windows + number
    counts = np.bincount(place, minlength=neurons * windows).reshape(neurons, windows)
    counts = counts[counts.any(axis=1)]
    return float(np.mean(counts.var(axis=1, ddof=1) / counts.mean(axis=1)))


def cluster_rates_hz(clusters: Sequence[Spikes], size: int, start_ms: float, end_ms: float) -> np.ndarray:
    """Smoothed rates of clusters of ``size`` neurons, shape (clusters, bins of 1 ms)."""
    edges_ms = np.arange(start_ms, end_ms + BIN_MS / 2, BIN_MS)
    counts = [np.histogram(spikes.timestamps_ms, edges_ms)[0] for spikes in clusters]
    return gaussian_filter1d(np.array(counts) / size / BIN_MS * 1000, SMOOTHING_MS / BIN_MS, axis=1)


def correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Mean of Pearson's coefficients of the rows of two arrays, pair by pair; None where one is constant."""
    if not (first.std(axis=1).all() and second.std(axis=1).all()):
        return None
    return float(np.mean([np.corrcoef(one, other)[0, 1] for one, other in zip(first, second, strict=True)]))


def largest_fraction(trains: Sequence[Spikes], neurons: int, start_ms: float, end_ms: float) -> float:
    """Largest part of all neurons that fires in the same bin of 1 ms: near 1 in a synchronous network."""
    edges_ms = np.arange(start_ms, end_ms + BIN_MS / 2, BIN_MS)
    counts = np.sum([np.histogram(spikes.timestamps_ms, edges_ms)[0] for spikes in trains], axis=0)
    return float(counts.max() / neurons)


def episodes(rates_hz: np.ndarray) -> dict[str, Any]:
    """When clusters are active, from their rates (clusters, bins): how many at once, how long, how often."""
    active = rates_hz > ACTIVE_HZ
    steps = np.diff(np.pad(active.astype(int), ((0, 0), (1, 1))), axis=1)
    lengths_ms = BIN_MS * (np.nonzero(steps == -1)[1] - np.nonzero(steps == 1)[1])
    clusters = np.nonzero(steps == 1)[0]
    long = lengths_ms >= SHORTEST_EPISODE_MS
    duration_s = rates_hz.shape[1] * BIN_MS / 1000
    return {
        "active_clusters_mean": float(active.sum(axis=0).mean()),
        "active_clusters_most": int(active.sum(axis=0).max()),
        "episodes_per_s": float(long.sum() / duration_s),
        "episode_mean_ms": float(lengths_ms[long].mean()) if long.any() else None,
        "episode_longest_ms": float(lengths_ms[long].max()) if long.any() else None,
        "clusters_ever_active": int(np.unique(clusters[long]).size),
    }
