# SPDX-License-Identifier: GPL-2.0-or-later
"""Make a brain of a script and step it, on all ranks but the first if there are several.

``[mpiexec -n N] python step_script.py SCRIPT VIRTUAL_PROCESSES SEED STEP_MS STEPS OUT``

OUT gets the spikes of all populations, sorted by time and then node id, and what the brain then is.
"""

import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

from cosim.engines.nest import kernel
from cosim.engines.nest.script import run_script
from cosim.parallel.world import fatal_errors_end_the_job


def spikes(started: kernel.Kernel, populations, step_ms: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Node ids and times in ms of this rank's spikes."""
    recorder = started.nest.Create("spike_recorder")
    for nodes in populations.values():
        started.nest.Connect(nodes, recorder)
    started.nest.Prepare()
    for _ in range(steps):
        started.nest.Run(step_ms)
    started.nest.Cleanup()
    return recorder.events["senders"], recorder.events["times"]


def run(brain: MPI.Comm) -> None:
    path, virtual_processes, seed, step_ms, steps, out = sys.argv[1:]
    started = kernel.start(brain, int(virtual_processes), int(seed), 0.1)
    script = run_script(Path(path), started.nest, started)
    nest = started.nest
    parts = brain.gather(spikes(started, script.populations, float(step_ms), int(steps)))
    kernel_state = {"processes": nest.num_processes, "virtual_processes": nest.total_num_virtual_procs}
    if parts is not None:
        senders, times_ms = (np.concatenate(each) for each in zip(*parts, strict=True))
        order = np.lexsort((senders, times_ms))
        names, sizes = list(script.populations), [len(nodes) for nodes in script.populations.values()]
        np.savez(out, ids=senders[order], times=times_ms[order], names=names, sizes=sizes, **kernel_state)


with fatal_errors_end_the_job([]):
    world = MPI.COMM_WORLD
    alone = world.size == 1
    brain = world.Split(0 if alone or world.rank > 0 else MPI.UNDEFINED, world.rank)
    if brain != MPI.COMM_NULL:
        run(brain)
    world.Barrier()
