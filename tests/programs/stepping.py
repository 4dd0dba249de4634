# SPDX-License-Identifier: GPL-2.0-or-later
"""Advance a network step by step with nest.Run or with nestlink, and save its spikes: ``... HOW STEP_MS VPS OUT``.

All ranks are brain ranks. The network has what could tell a difference: neurons on and off the time grid, relays that
send several spikes at once, a mip_generator, which draws from the generators that nest.Run compares over ranks, and a
source amid the other nodes whose rate changes with every step. nestlink begins each step ahead of its rate.
"""

import sys

import numpy as np
from mpi4py import MPI

from cosim.devices.base import Setting
from cosim.engines.nest import kernel
from cosim.engines.nest.nestlink.stepping import Journal, Stepper
from cosim.parallel.world import fatal_errors_end_the_job

DURATION_MS = 120.0


def build(nest):
    """The neurons, a source, and a recorder of NEST's own."""
    cells = nest.Create("iaf_psc_alpha", 60, params={"I_e": 300.0}) + nest.Create("parrot_neuron", 20)
    precise = nest.Create("iaf_psc_alpha_ps", 20, params={"I_e": 400.0}) + nest.Create("parrot_neuron_ps", 20)
    noise = nest.Create("poisson_generator", params={"rate": 4000.0})
    source = nest.Create("poisson_generator")
    nest.Connect(noise + source, cells + precise, "all_to_all", {"weight": 60.0})
    nest.Connect(nest.Create("mip_generator", params={"rate": 200.0, "p_copy": 0.5}), cells, "all_to_all")
    rule = {"rule": "fixed_indegree", "indegree": 10}
    nest.Connect(cells[:60], cells[:60] + precise[:20], rule, {"weight": -80.0, "delay": 1.5})
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells + precise, recorder, "all_to_all", {"delay": 1.5})
    return cells + precise, source, recorder


def collected(comm, times, ids):
    """Spikes of all ranks, by time and then by node."""
    times, ids = (np.concatenate(comm.allgather(np.array(each))) for each in (times, ids))
    order = np.lexsort((ids, times))
    return times[order], ids[order]


def main(how, step_ms, virtual_processes, out):
    comm = MPI.COMM_WORLD
    started = kernel.start(comm, virtual_processes, 11, 0.1)
    nest, link = started.nest, started.link
    neurons, source, recorder = build(nest)
    journal = Journal(link, np.array(neurons.tolist()))
    nest.Prepare()
    stepper = Stepper(link, [Setting(source.global_id, "rate")], step_ms)
    steps = round(DURATION_MS / step_ms)
    for step in range(steps):
        stepper.set(np.array([1000.0 * (step % 3)]))
        stepper.run() if how == "nestlink" else nest.Run(step_ms)
        waiting = journal.collect()
        if how == "nestlink" and step + 1 < steps:
            stepper.run_ahead()
    link.check_synchrony()
    nest.Cleanup()
    stepped_ms, calcium = nest.biological_time, np.array(neurons[:60].Ca, dtype=float)  # nan on other ranks
    nest.Simulate(10.0)
    journal.collect()
    spikes = journal.spikes()
    assert len(spikes.done) == steps + 1
    assert spikes.done[steps - 1] == waiting and spikes.done[-1] == len(spikes.times_ms)
    times, ids = collected(comm, recorder.events["times"], recorder.events["senders"])
    journal_times, journal_ids = collected(comm, spikes.times_ms, spikes.node_ids)
    if comm.rank == 0:
        np.savez(
            out,
            **{"times": times, "ids": ids, "journal_times": journal_times, "journal_ids": journal_ids},
            **{"stepped_ms": stepped_ms, "drawn": nest.random.uniform().GetValue()},
            calcium=calcium,
            simulate_s=nest.kernel_status["time_simulate"],
        )
    else:
        nest.random.uniform().GetValue(), nest.kernel_status  # rank-synced and collective


with fatal_errors_end_the_job([]):
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
