# SPDX-License-Identifier: GPL-2.0-or-later
"""All cases of ``tests/device_cases`` in NEST alone: ``python devices_in_nest.py RESULT.npz``.

The result holds of each case what was read of its sinks as ``CASE/sink/PORT``, the values of all steps end to end, and
the spikes of its populations as ``CASE/spikes/POPULATION``, (spikes, 2): time in ms and number of the neuron from 0,
by time and number.
"""

import sys
from collections import defaultdict

import device_cases as cases
import mpi4py.MPI  # noqa: F401  NEST with MPI finds the MPI library that this loads
import nest
import numpy as np

nest.verbosity = nest.VerbosityLevel.ERROR
nest.set(resolution=cases.RESOLUTION_MS, total_num_virtual_procs=cases.VIRTUAL_PROCESSES, rng_seed=cases.SEED)
all_cases = {name: cases.load(name) for name in cases.NAMES}
neurons = {name: case.brain(nest) for name, case in all_cases.items()}
# Those of all cases before any sink, as in cosim.
sources = {name: case.sources(nest, neurons[name]) for name, case in all_cases.items() if hasattr(case, "sources")}
sinks = {name: case.sinks(nest, neurons[name]) for name, case in all_cases.items() if hasattr(case, "sinks")}
recorders = {}
for name, populations in neurons.items():
    for population, nodes in populations.items():
        recorder = recorders[f"{name}/spikes/{population}"] = nest.Create("spike_recorder")
        nest.Connect(nodes, recorder, syn_spec={"delay": cases.DELAY_MS})

read = defaultdict(list)
for step in range(cases.STEPS):
    for name, case in all_cases.items():
        if hasattr(case, "set_values"):
            case.set_values(nest, sources[name], step)
    nest.Simulate(cases.STEP_MS)
    for name, case in all_cases.items():
        if hasattr(case, "read"):
            for port, values in case.read(nest, sinks[name]).items():
                read[f"{name}/sink/{port}"].append(np.ravel(values))

result = {key: np.concatenate(values) for key, values in read.items()}
for key, recorder in recorders.items():
    name, _, population = key.split("/")
    times_ms, node_ids = recorder.events["times"], recorder.events["senders"]
    spikes = np.column_stack([times_ms, node_ids - neurons[name][population][0].global_id])
    result[key] = spikes[np.lexsort(spikes.T[::-1])]
np.savez(sys.argv[1], **result)
