# SPDX-License-Identifier: GPL-2.0-or-later
"""The spikes of a part of a population, each of which comes back a step later in another one."""

import h5py
import numpy as np

import device_cases

DEVICES = """
[[sinks]]
kind = "spikes"
name = "spikes_sink"
populations = "spikes_heard[1:]"
[[sources]]
kind = "spike_injector"
name = "spikes_echo"
population = "spikes_echoing"
weight = 3000.0
delay_ms = 1.0
per_neuron = true
"""


def brain(nest):
    voltages = nest.random.uniform(-70.0, -55.0)
    heard = nest.Create("iaf_psc_alpha", 6, {"I_e": 700.0, "V_m": voltages})
    return {"spikes_heard": heard, "spikes_echoing": nest.Create("iaf_psc_alpha", 6)}


def drive(spikes_sink, spikes_echo):
    assert len(spikes_sink.node_ids) == len(spikes_sink.times_ms) == spikes_sink.count
    spikes_echo.send(spikes_sink.times_ms + device_cases.STEP_MS, spikes_sink.node_ids)


def sources(nest, neurons):
    synapse = {"weight": 3000.0, "delay": 1.0}
    nest.Connect(nest.Create("spike_generator"), neurons["spikes_echoing"], "all_to_all", synapse)
    injectors = nest.Create("spike_train_injector", 6)
    nest.Connect(injectors, neurons["spikes_echoing"], "one_to_one", synapse)
    return {"injectors": injectors, "heard": neurons["spikes_heard"]}


def set_values(nest, made, step):
    injectors, heard = made["injectors"], made["heard"]
    if "recorder" not in made:  # after all other nodes: cosim has no node in its place
        made["recorder"] = nest.Create("spike_recorder")
        nest.Connect(heard[1:], made["recorder"])
    recorder = made["recorder"]
    times_ms, senders = recorder.events["times"], recorder.events["senders"]
    recorder.n_events = 0
    trains = [np.sort(times_ms[senders == neuron.global_id]) + device_cases.STEP_MS for neuron in heard]
    nest.SetStatus(injectors, [{"spike_times": np.round(train, 1)} for train in trains])


def check(run, expected):
    """What transfer functions saw they have sent on, as the spikes were recorded."""
    times_ms, neurons = expected["spikes/spikes_heard"].T
    steps = np.ceil(times_ms / device_cases.STEP_MS - 1e-9).astype(int)
    counts = np.bincount(steps[neurons > 0], minlength=device_cases.STEPS + 1)[1:]
    np.testing.assert_array_equal(run.readout["spikes_sink"], counts)
    seen = (neurons > 0) & (steps < device_cases.STEPS)
    with h5py.File(run.folder.run_file) as file:
        sent = file["exchange/spikes/spikes_echo"]
        np.testing.assert_array_equal(sent["times_ms"][:], times_ms[seen] + device_cases.STEP_MS)
        np.testing.assert_array_equal(sent["neurons"][:], neurons[seen])
        assert "spikes_sink" not in file["exchange/spikes"], "they are in spikes.h5"
