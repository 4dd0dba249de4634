# SPDX-License-Identifier: GPL-2.0-or-later
"""Spikes of a population, counted in each step and, of a part of it, in a window of three; and several at a time."""

import numpy as np

import device_cases

WINDOW_STEPS = 3
DEVICES = f"""
[[sinks]]
kind = "spike_count"
name = "count_of_step"
populations = "counted"
[[sinks]]
kind = "spike_count"
name = "count_of_window"
populations = "counted[2:]"
window_ms = {WINDOW_STEPS * device_cases.STEP_MS}
[[sinks]]
kind = "spike_count"
name = "count_of_bursts"
populations = "relays"
"""
BURSTS = {"spike_times": [2.0, 12.0, 33.3, 40.0, 47.0], "spike_multiplicities": [3, 4, 1, 7, 2]}


def brain(nest):
    currents_pa = nest.random.uniform(300.0, 900.0)
    cells, relays = nest.Create("iaf_psc_alpha", 12, {"I_e": currents_pa}), nest.Create("parrot_neuron", 2)
    nest.Connect(nest.Create("spike_generator", params=BURSTS), relays)
    return {"counted": cells, "relays": relays}


def drive(count_of_step, count_of_window):
    for port, neurons, steps in ((count_of_step, 12, 1), (count_of_window, 10, WINDOW_STEPS)):
        seconds = steps * device_cases.STEP_MS / 1000
        np.testing.assert_allclose(port.rate_hz, port.count / neurons / seconds)


def sinks(nest, neurons):
    recorders = nest.Create("spike_recorder", 3)
    for heard, recorder in zip((neurons["counted"], neurons["counted"][2:], neurons["relays"]), recorders, strict=True):
        nest.Connect(heard, recorder)
    return recorders, [np.zeros(3)] * WINDOW_STEPS


def read(nest, made):
    recorders, ends = made
    ends.append(np.array(recorders.n_events))
    step, window = ends[-1] - ends[-2], ends[-1] - ends[-1 - WINDOW_STEPS]
    return {"count_of_step": step[0], "count_of_window": window[1], "count_of_bursts": step[2]}
