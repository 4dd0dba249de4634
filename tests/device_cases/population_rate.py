# SPDX-License-Identifier: GPL-2.0-or-later
"""The smoothed rate of neurons that fire on their own: spikes of a recorder under the kernel of cosim's formula."""

import numpy as np

DELAY_MS, TAU_RISE_MS, TAU_FALL_MS = 1.0, 4.0, 9.0
DEVICES = f"""
[[sinks]]
kind = "population_rate"
name = "rate_sink"
populations = "rate_heard[:4]"
tau_rise_ms = {TAU_RISE_MS}
tau_fall_ms = {TAU_FALL_MS}
delay_ms = {DELAY_MS}
"""


def brain(nest):
    return {"rate_heard": nest.Create("iaf_psc_exp", 5, {"I_e": 600.0, "V_m": nest.random.uniform(-70.0, -55.0)})}


def sinks(nest, neurons):
    """NEST has no node for it; this one keeps the ids of others where they are."""
    return nest.Create("iaf_psc_exp")


def check(run, expected):
    spikes = run.spikes["rate_heard"]
    times_ms = spikes.timestamps_ms[spikes.node_ids < 4]
    since_ms = run.exchange_time_ms[:, np.newaxis] - times_ms - DELAY_MS
    since_ms = np.where(since_ms > 0, since_ms, 0.0)
    shapes = np.exp(-since_ms / TAU_FALL_MS) - np.exp(-since_ms / TAU_RISE_MS)
    expected_hz = 1000 / 4 * shapes.sum(axis=1) / (TAU_FALL_MS - TAU_RISE_MS)
    assert np.count_nonzero(expected_hz) > 3
    np.testing.assert_allclose(run.readout["rate_sink"], expected_hz, rtol=1e-9)
