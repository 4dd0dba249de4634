# SPDX-License-Identifier: GPL-2.0-or-later
"""Spikes at exact times into all neurons of a part of a population, and into single ones; nothing in some steps."""

import h5py
import numpy as np

import device_cases

DEVICES = """
[[sources]]
kind = "spike_injector"
name = "injector"
population = "injected[1::2]"
weight = 900.0
delay_ms = 2.0
per_neuron = true
[[sources]]
kind = "spike_injector"
name = "injector_of_all"
population = "injected"
weight = 1500.0
delay_ms = 1.0
"""
# By the step after which they are sent: times after its end, to all neurons, and times with neurons.
TO_ALL = {0: [0.1, 10.0], 1: [5.0, 5.0, 3.3], 5: [9.9]}
TO_SOME = {0: ([4.0], [3]), 2: ([10.0, 0.1, 7.7, 7.7], [5, 1, 7, 7]), 3: ([6.0, 6.1, 6.2, 6.3], [1, 1, 3, 7])}


def moments(step, after_ms):
    """On NEST's time grid."""
    return np.round(step * device_cases.STEP_MS + np.array(after_ms), 1)


def brain(nest):
    return {"injected": nest.Create("iaf_psc_alpha", 8, {"V_m": nest.random.uniform(-70.0, -60.0)})}


def drive(step, injector, injector_of_all):
    if step in TO_ALL:
        injector.send(moments(step, TO_ALL[step]))
        injector_of_all.send(moments(step, TO_ALL[step][0]))
    if step in TO_SOME:
        after_ms, neurons = TO_SOME[step]
        injector.send(moments(step, after_ms), neurons=neurons)


def sources(nest, neurons):
    synapse, targets = {"weight": 900.0, "delay": 2.0}, neurons["injected"][1::2]
    generator = nest.Create("spike_generator")
    nest.Connect(generator, targets, "all_to_all", synapse)
    injectors = nest.Create("spike_train_injector", 4)
    nest.Connect(injectors, targets, "one_to_one", synapse)
    of_all = nest.Create("spike_generator")
    nest.Connect(of_all, neurons["injected"], "all_to_all", {"weight": 1500.0, "delay": 1.0})
    return generator, injectors, of_all


def set_values(nest, made, step):
    generator, injectors, of_all = made
    generator.spike_times = np.sort(moments(step, TO_ALL.get(step, [])))
    of_all.spike_times = moments(step, TO_ALL.get(step, [])[:1])
    after_ms, neurons = (np.array(each) for each in TO_SOME.get(step, ([], [])))
    trains = [np.sort(moments(step, after_ms[neurons == neuron])) for neuron in (1, 3, 5, 7)]
    nest.SetStatus(injectors, [{"spike_times": train} for train in trains])


def check(run, expected):
    """What was sent is recorded, by time and neuron; -1 stands for all."""
    sent = [(time, -1) for step, after_ms in TO_ALL.items() for time in moments(step, after_ms)]
    for step, (after_ms, neurons) in TO_SOME.items():
        sent += zip(moments(step, after_ms), neurons, strict=True)
    with h5py.File(run.folder.run_file) as file:
        recorded = file["exchange/spikes/injector"]
        np.testing.assert_array_equal(np.column_stack([recorded["times_ms"], recorded["neurons"]]), sorted(sent))
    counts = [len(TO_ALL.get(step, [])) + len(TO_SOME.get(step, [[]])[0]) for step in range(device_cases.STEPS)]
    np.testing.assert_array_equal(run.stimulus["injector"], counts)
