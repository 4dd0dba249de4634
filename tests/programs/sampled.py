# SPDX-License-Identifier: GPL-2.0-or-later
"""What nestlink reads of multimeters in steps that cut NEST's slices, and what NEST's own hold: ``... RESULT.npz``.

Slices are of 1.5 ms, steps of 2.5 ms, so a slice goes on over the end of most steps. The result holds, for each
interval in ms, ``read/INTERVAL`` and ``nest/INTERVAL``, (times, neurons, variables), and the spikes ``with`` and
``without`` multimeters.
"""

import sys

import numpy as np
from mpi4py import MPI

from cosim.devices.base import Samples
from cosim.engines.nest import kernel
from cosim.engines.nest.nestlink.blocks import make_multimeter
from cosim.engines.nest.nestlink.stepping import Journal, SinkValues, Stepper

STEP_MS, STEPS, NEURONS = 2.5, 20, 8
VARIABLES = ("V_m", "g_ex")
INTERVALS_MS = (0.1, 0.5, 2.5)


def make_cells(nest):
    return nest.Create("iaf_cond_exp", NEURONS, {"I_e": 400.0, "V_m": nest.random.uniform(-70.0, -55.0)})


def connect(nest, cells):
    noise = nest.Create("poisson_generator", 2, params={"rate": 1500.0})  # two draw in turns, slice by slice
    nest.Connect(noise, cells, "all_to_all", {"weight": 2.0, "delay": 1.5})
    nest.Connect(cells, cells, "all_to_all", {"weight": 2.0, "delay": 2.0})


def stepped(started, intervals_ms):
    """Samples by interval, and spikes; from a kernel that has been reset."""
    nest, link = started.nest, started.link
    cells = make_cells(nest)
    meters = [make_multimeter(nest, link, "here", cells, each, VARIABLES) for each in intervals_ms]
    connect(nest, cells)  # afterwards: delays of the connections of multimeters do not count
    journal = Journal(link, np.array(cells.tolist()))
    nest.Prepare()
    ids = np.array(cells.tolist())
    samples = [
        Samples(meter, ids, interval_ms, round(STEP_MS / interval_ms), len(VARIABLES))
        for meter, interval_ms in zip(meters, intervals_ms, strict=True)
    ]
    sinks, stepper = SinkValues(link, samples), Stepper(link, [], STEP_MS)
    rows = np.zeros((STEPS, sum(each.size for each in samples)))
    for step in range(STEPS):
        stepper.run()
        read = np.zeros(rows.shape[1])
        sinks.read(read)
        rows[step] = read
        if step % 3 and step + 1 < STEPS:
            stepper.run_ahead()
    journal.collect()
    spikes = journal.spikes()
    order = np.lexsort((spikes.node_ids, spikes.times_ms))
    nest.Cleanup()
    by_meter = np.split(rows, np.cumsum([each.size for each in samples]), axis=1)
    found = [
        np.moveaxis(values.reshape(STEPS, len(VARIABLES), -1, NEURONS), 1, -1).reshape(-1, NEURONS, len(VARIABLES))
        for values in by_meter[:-1]  # behind the last there is nothing
    ]
    return found, np.column_stack([spikes.times_ms[order], spikes.node_ids[order]])


def in_nest(nest):
    """What NEST's own multimeters hold; they need a slice more to hand all over."""
    cells = make_cells(nest)
    connect(nest, cells)
    meters = [
        nest.Create("multimeter", params={"interval": each, "record_from": list(VARIABLES)}) for each in INTERVALS_MS
    ]
    for meter in meters:
        nest.Connect(meter, cells, syn_spec={"delay": 1.5})
    with nest.RunManager():
        for step_ms in [STEP_MS] * STEPS + [3.0]:
            nest.Run(step_ms)
    for meter in meters:
        events = meter.events
        order = np.lexsort((events["senders"], events["times"]))
        order = order[events["times"][order] < STEP_MS * STEPS + 0.01]
        yield np.stack([events[name][order].reshape(-1, NEURONS) for name in VARIABLES], axis=-1)


started = kernel.start(MPI.COMM_WORLD, 2, 11, 0.1)
read, with_meters = stepped(started, INTERVALS_MS)
started.nest.ResetKernel()
started.restore()
_, without = stepped(started, ())
started.nest.ResetKernel()
started.restore()
result = {f"read/{each:g}": values for each, values in zip(INTERVALS_MS, read, strict=True)}
result |= {f"nest/{each:g}": values for each, values in zip(INTERVALS_MS, in_nest(started.nest), strict=True)}
np.savez(sys.argv[1], **result, **{"with": with_meters, "without": without})
