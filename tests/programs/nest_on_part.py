# SPDX-License-Identifier: GPL-2.0-or-later
"""Put NEST on parts of the world and say what it does there.

``mpiexec -n N python nest_on_part.py LAYOUT NETWORK VIRTUAL_PROCESSES SEED OUT``; without mpiexec the layout is
"plain". LAYOUT gives a group to every rank, such as ``.011``: ranks with the same digit form one NEST, ``.`` is no
NEST. Each group writes ``OUT-<group>.npz`` from its first rank.
"""

import sys

import numpy as np
from mpi4py import MPI

from cosim.engines.nest import kernel
from cosim.parallel.world import fatal_errors_end_the_job


def gap_junctions(nest, seed: int) -> dict[str, np.ndarray]:
    """Voltages of cells that are coupled by gap junctions only: the kernel's secondary events."""
    nest.use_wfr = True
    cells = nest.Create("hh_psc_alpha_gap", 6)
    for index, cell in enumerate(cells):
        cell.V_m = -50.0 - 4 * index
    for left, right in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5)):
        nest.Connect(
            cells[left],
            cells[right],
            {"rule": "one_to_one", "make_symmetric": True},
            {"synapse_model": "gap_junction", "weight": 20.0 + seed},
        )
    meter = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": 1.0})
    nest.Connect(meter, cells)
    nest.Simulate(25.0)
    events = meter.events
    return {"ids": events["senders"], "times": events["times"], "values": events["V_m"]}


def balanced(nest, seed: int) -> dict[str, np.ndarray]:
    """Spikes of a small random network."""
    cells = nest.Create("iaf_psc_alpha", 60)
    drive = nest.Create("poisson_generator", params={"rate": 9000.0})
    nest.Connect(drive, cells, "all_to_all", {"weight": 40.0, "delay": 1.5})
    nest.Connect(cells, cells, {"rule": "fixed_indegree", "indegree": 12}, {"weight": -30.0, "delay": 1.5})
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells, recorder)
    nest.Simulate(200.0)
    events = recorder.events
    return {"ids": events["senders"], "times": events["times"]}


def collect(comm: MPI.Comm, part: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """All ranks' events, sorted by time and then id, on the first rank of ``comm``."""
    parts = comm.gather(part)
    if parts is None:
        return None
    whole = {name: np.concatenate([np.asarray(each[name]) for each in parts]) for name in part}
    order = np.lexsort((whole["ids"], whole["times"]))
    return {name: values[order] for name, values in whole.items()}


def main() -> None:
    layout, network, virtual_processes, seed, out = sys.argv[1:]
    world = MPI.COMM_WORLD
    group = "0" if layout == "plain" else layout[world.rank]
    comm = world.Split(MPI.UNDEFINED if group == "." else int(group), world.rank)
    if comm != MPI.COMM_NULL:
        own_seed = int(seed) + int(group)
        nest = kernel.start(comm, int(virtual_processes), own_seed, 0.1).nest
        result = collect(comm, globals()[network](nest, own_seed))
        if result is not None:
            np.savez(f"{out}-{group}.npz", processes=nest.num_processes, **result)
    world.Barrier()


with fatal_errors_end_the_job([]):
    main()
