# SPDX-License-Identifier: GPL-2.0-or-later
"""How irregularly the neurons of a population fire over a whole run.

By Elephant, on Neo spike trains, for populations of up to `MOST_TRAINS` neurons. That takes 0.5 ms for a
train, which is too long for many. Larger populations, and all where Elephant is not installed, are done by
``cosim.results.statistics``, all trains at once; both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from cosim.results import statistics
from cosim.results.run_data import RunData

MOST_TRAINS = 500
FEWEST_INTERVALS = 2
FANO_WINDOW_MS = 100.0
ELEPHANT, OWN = "Elephant", "cosim"


class Irregularity(NamedTuple):
    """Each is averaged over neurons; None where no neuron fired often enough."""

    cv: float | None
    """Standard deviation over mean of a neuron's intervals; neurons with two intervals or more."""
    cv2: float | None
    """Local variation, 2 |I2 - I1| / (I2 + I1) of neighbouring intervals; of the same neurons."""
    fano: float | None
    """Variance (ddof 1) over mean of a neuron's spike counts in windows of 100 ms; neurons that fired."""
    by: str


def irregularity(run: RunData, population: str) -> Irregularity:
    """CV, CV2 and Fano factor of a recorded population."""
    few = run.populations[population].recorded <= MOST_TRAINS
    return (by_elephant if few and find_spec("elephant") else by_cosim)(run, population)


def by_cosim(run: RunData, population: str) -> Irregularity:
    """All trains at once."""
    spikes, size, end_ms = run.spikes[population], run.populations[population].size, run.simulated_ms
    return Irregularity(
        statistics.interval_cv(spikes, 0.0, end_ms, FEWEST_INTERVALS),
        statistics.cv2(spikes, 0.0, end_ms, FEWEST_INTERVALS),
        statistics.fano_factor(spikes, size, FANO_WINDOW_MS, 0.0, end_ms),
        OWN,
    )


def by_elephant(run: RunData, population: str) -> Irregularity:
    """Train by train."""
    from elephant import statistics as elephant  # takes a second to import, and may be missing

    trains = run.spiketrains(population)
    intervals = [elephant.isi(train) for train in trains if len(train) > FEWEST_INTERVALS]
    windows = int(run.simulated_ms / FANO_WINDOW_MS + 1e-9)
    return Irregularity(
        _mean(elephant.cv, intervals),
        _mean(elephant.cv2, intervals),
        _fano(elephant.fanofactor, [train.magnitude for train in trains], windows),
        ELEPHANT,
    )


def _fano(
    fanofactor: Callable[[Sequence[np.ndarray]], float], trains: Iterable[np.ndarray], windows: int
) -> float | None:
    """Elephant's variance has ddof 0."""
    if windows < 2:
        return None
    edges_ms = FANO_WINDOW_MS * np.arange(windows + 1)
    inside = [times_ms[times_ms <= edges_ms[-1]] for times_ms in trains]
    cut = [np.split(times_ms, np.searchsorted(times_ms, edges_ms[1:-1])) for times_ms in inside if times_ms.size]
    mean = _mean(fanofactor, cut)
    return None if mean is None else mean * windows / (windows - 1)


def _mean(statistic: Callable[..., float], samples: Sequence) -> float | None:
    return float(np.mean([statistic(each) for each in samples])) if samples else None
