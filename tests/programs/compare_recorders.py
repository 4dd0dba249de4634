# SPDX-License-Identifier: GPL-2.0-or-later
"""Record the same network with NEST's memory backend and with nestlink's, and compare: ``... THREADS``.

Runs in several steps inside one Prepare ... Cleanup and empties nestlink's buffers in between.
"""

import sys

import numpy as np
from mpi4py import MPI

from cosim.engines.nest import kernel

threads = int(sys.argv[1])
started = kernel.start(MPI.COMM_SELF, threads, 7, 0.1)
nest, link = started.nest, started.link

cells = nest.Create("iaf_cond_alpha", 50)
nest.Connect(nest.Create("poisson_generator", params={"rate": 12000.0}), cells, "all_to_all", {"weight": 2.0})
spikes = {name: nest.Create("spike_recorder", params={"record_to": name}) for name in ("memory", "cosim")}
quantities = ["V_m", "g_ex"]
meters = {
    name: nest.Create("multimeter", params={"record_to": name, "record_from": quantities, "interval": 0.7})
    for name in ("memory", "cosim")
}
for name in ("memory", "cosim"):
    nest.Connect(cells, spikes[name])
    nest.Connect(meters[name], cells)

taken = {"spikes": [], "meter": []}
nest.Prepare()
for _ in range(10):
    nest.Run(20.0)
    for name, recorder in (("spikes", spikes["cosim"].global_id), ("meter", meters["cosim"].global_id)):
        assert len(link.events(recorder)) == threads
        for events in link.events(recorder):
            taken[name].append(np.column_stack([events.times_ms, events.senders, events.values]))
        link.clear(recorder)
nest.Cleanup()


def ordered(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


memory = spikes["memory"].events
expected = ordered(np.column_stack([memory["times"], memory["senders"]]))
assert len(expected) > 200, f"only {len(expected)} spikes: nothing was tested"
np.testing.assert_array_equal(ordered(np.concatenate(taken["spikes"])), expected)

memory = meters["memory"].events
expected = ordered(np.column_stack([memory["times"], memory["senders"], *(memory[name] for name in quantities)]))
assert link.value_names(meters["cosim"].global_id) == quantities
np.testing.assert_array_equal(ordered(np.concatenate(taken["meter"])), expected)
print(f"equal: {len(np.concatenate(taken['spikes']))} spikes, {len(expected)} samples")
