# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the balanced network for a while and write what its synapses are then: ``... SCALE DURATION_MS OUT``.

OUT gets, for each two populations, the inputs of every target neuron, (neurons,), the synapses' weights in pA, and how
many of them join a neuron with itself.
"""

import sys

import numpy as np
from mpi4py import MPI

from cosim.engines.nest import built_network, kernel
from models.balanced.network import network


def main(scale: float, duration_ms: float, out: str) -> None:
    brain = kernel.start(MPI.COMM_WORLD, virtual_processes=1, seed=1, resolution_ms=0.1)
    nodes = built_network.build_network(brain, network(scale), "nestlink", lambda phase: None).nodes
    brain.nest.Simulate(duration_ms)
    found = {}
    for source in nodes:
        for target in nodes:
            synapses = brain.nest.GetConnections(nodes[source], nodes[target])
            sources, targets = (np.fromiter(ids, int) for ids in (synapses.sources(), synapses.targets()))
            first = nodes[target][0].global_id
            found[f"{source}{target}_weights_pa"] = np.array(synapses.get("weight"))
            found[f"{source}{target}_indegrees"] = np.bincount(targets - first, minlength=len(nodes[target]))
            found[f"{source}{target}_autapses"] = np.sum(sources == targets)
    np.savez(out, **found)


main(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3])
