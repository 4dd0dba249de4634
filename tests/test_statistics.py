# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics of spikes on trains whose values are known."""

import elephant.statistics
import neo
import numpy as np
import pytest
import quantities as pq

from cosim.results import statistics
from cosim.results.run_data import Spikes


def spikes(*trains):
    """Spikes of neurons 0, 1 ... from their times in ms."""
    ids = np.concatenate([np.full(len(train), number, "u8") for number, train in enumerate(trains)])
    return Spikes(np.concatenate([np.asarray(train, float) for train in trains]), ids)


def poisson(rate_hz, neurons, duration_ms, seed=0):
    generator = np.random.default_rng(seed)
    number = generator.poisson(rate_hz * duration_ms / 1000, neurons)
    return spikes(*(generator.uniform(0, duration_ms, each) for each in number))


def test_a_regular_train_does_not_vary_and_a_poisson_train_varies_by_one():
    regular = spikes(np.arange(10.0, 1000.0, 10.0), np.arange(5.0, 1000.0, 20.0))
    assert statistics.cv2(regular, 0.0, 1000.0) == pytest.approx(0.0, abs=1e-9)
    random = poisson(20.0, 200, 20_000.0)
    assert statistics.cv2(random, 0.0, 20_000.0) == pytest.approx(1.0, abs=0.02)
    assert statistics.fano_factor(random, 200, 400.0, 0.0, 20_000.0) == pytest.approx(1.0, abs=0.05)
    assert statistics.mean_rate_hz(random, 200, 0.0, 20_000.0) == pytest.approx(20.0, rel=0.02)


def test_intervals_that_alternate():
    alternating = spikes(np.cumsum([10.0, 30.0] * 10))
    assert statistics.cv2(alternating, 0.0, 1000.0) == pytest.approx(2 * 20 / 40)
    assert statistics.interval_cv(spikes(np.cumsum([10.0, 30.0] * 10 + [10.0])), 0.0, 1000.0) == pytest.approx(0.5)


def test_the_least_number_of_intervals_can_be_chosen():
    # Neuron 0 fires regularly, neuron 1 with intervals 1 and 3 ms: CV 0 and 1/2; neuron 2 has one interval.
    few = spikes([10, 20, 30], [10, 11, 14], [5, 6])
    assert statistics.interval_cv(few, 0.0, 40.0, fewest=2) == pytest.approx(0.25)
    assert statistics.cv2(few, 0.0, 40.0, fewest=2) == pytest.approx((0 + 2 * 2 / 4) / 2)
    assert statistics.interval_cv(few, 0.0, 40.0) is None and statistics.cv2(few, 0.0, 40.0) is None


def test_elephant_finds_the_same():
    """Neurons of unlike rates over part of a recording; some have too few intervals to count."""
    trains = [
        poisson(rate_hz, 1, 10_000.0, seed).timestamps_ms for seed, rate_hz in enumerate((0.1, 0.5, 2, 5, 20, 40))
    ]
    mine, start_ms, end_ms = spikes(*trains), 1000.0, 9000.0
    whole = [neo.SpikeTrain(np.sort(train) * pq.ms, t_stop=10_000 * pq.ms) for train in trains]
    theirs = [train.time_slice(start_ms * pq.ms, end_ms * pq.ms) for train in whole]
    intervals = [elephant.statistics.isi(train) for train in theirs if len(train) > statistics.FEWEST_INTERVALS]
    assert 0 < len(intervals) < len(trains)
    assert statistics.cv2(mine, start_ms, end_ms) == pytest.approx(
        np.mean([elephant.statistics.cv2(i) for i in intervals])
    )
    assert statistics.interval_cv(mine, start_ms, end_ms) == pytest.approx(
        np.mean([elephant.statistics.cv(i) for i in intervals])
    )
    edges_ms = np.arange(start_ms, end_ms + 1, 400.0) * pq.ms
    windows = [[train.time_slice(*ends) for ends in zip(edges_ms, edges_ms[1:])] for train in theirs if len(train)]
    fano = np.mean([elephant.statistics.fanofactor(counted) for counted in windows]) * 20 / 19  # ddof 1 of 20 windows
    assert statistics.fano_factor(mine, len(trains), 400.0, start_ms, end_ms) == pytest.approx(fano)


def test_windows_count_and_silent_neurons_do_not():
    counts = spikes([1, 2, 101, 301, 302], [])  # 2, 1, 0, 2 spikes in windows of 100 ms
    expected = np.var([2, 1, 0, 2], ddof=1) / np.mean([2, 1, 0, 2])
    assert statistics.fano_factor(counts, 2, 100.0, 0.0, 400.0) == pytest.approx(expected)


def test_too_few_spikes_have_no_value():
    assert statistics.cv2(spikes([1.0, 2.0]), 0.0, 10.0) is None
    assert statistics.interval_cv(spikes([1.0, 2.0]), 0.0, 10.0) is None
    assert statistics.fano_factor(spikes([]), 1, 5.0, 0.0, 10.0) is None


def test_episodes_of_a_cluster():
    burst = [np.arange(300.0, 500.0, 10.0) + shift for shift in range(10)]  # ten neurons at 100 Hz for 200 ms
    rates_hz = statistics.cluster_rates_hz([spikes(*burst), spikes(*[[900.0]] * 10)], 10, 0.0, 1000.0)
    found = statistics.episodes(rates_hz)
    assert rates_hz.shape == (2, 1000)
    assert rates_hz[0, 400] == pytest.approx(100.0, rel=0.05)
    assert (found["clusters_ever_active"], found["active_clusters_most"]) == (
        1,
        1,
    )  # the volley at 900 ms is too short
    assert found["episodes_per_s"] == 1.0
    assert found["episode_mean_ms"] == found["episode_longest_ms"] == pytest.approx(200.0, abs=50.0)


def test_correlation_of_clusters_and_the_largest_fraction():
    same = statistics.cluster_rates_hz([poisson(5.0, 10, 1000.0)], 10, 0.0, 1000.0)
    assert statistics.correlation(same, 2 * same) == pytest.approx(1.0)
    assert statistics.correlation(same, 0 * same) is None
    together = spikes(*[[500.5]] * 8, [], [])
    assert statistics.largest_fraction((together,), 10, 0.0, 1000.0) == 0.8
