# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a script in NEST alone, without cosim, for some time and keep the spikes of all of its neurons.

``python simulate_script.py SCRIPT THREADS SEED DURATION_MS OUT``

The script's own first ``nest.Simulate`` is replaced by one of DURATION_MS with a spike recorder for all
neurons. THREADS and SEED are set before the script runs and after each of its resets of the kernel.
"""

import os
import runpy
import sys

import mpi4py.MPI  # noqa: F401  NEST with MPI finds the MPI library that this loads
import nest
import numpy as np

script, threads, seed, duration_ms, out = sys.argv[1:]
reset, simulate = nest.ResetKernel, nest.Simulate


def reset_and_set() -> None:
    reset()
    nest.local_num_threads, nest.rng_seed = int(threads), int(seed)


def simulate_and_keep(_duration_ms: float) -> None:
    """In place of the script's own; the program ends here."""
    recorder = nest.Create("spike_recorder")
    nest.Connect(nest.GetNodes({"element_type": "neuron"}), recorder)
    simulate(float(duration_ms))
    events = recorder.events
    order = np.lexsort((events["senders"], events["times"]))
    np.savez(out, ids=events["senders"][order], times=events["times"][order])
    sys.exit()


vars(nest)["ResetKernel"], vars(nest)["Simulate"] = reset_and_set, simulate_and_keep
os.environ["MPLBACKEND"] = "Agg"
sys.path.insert(0, os.path.dirname(script))
reset_and_set()
runpy.run_path(script, run_name="__main__")
