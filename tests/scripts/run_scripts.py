# SPDX-License-Identifier: GPL-2.0-or-later
"""Run scripts one after the other and print a line of JSON for each: what they became, or why they did not.

``[mpiexec -n N] python run_scripts.py VIRTUAL_PROCESSES SEED SCRIPT...``, with a resolution of 0.1 ms.
"""

import json
import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

from cosim.engines.nest import kernel
from cosim.engines.nest.script import ScriptError, run_script


def as_ids(collections) -> dict[str, list[int]]:
    return {name: nodes.tolist() for name, nodes in collections.items()}


def became(path: Path, started: kernel.Kernel) -> dict:
    before = sys.argv, sys.path[:], sys.modules["__main__"], Path.cwd(), sys.stdout
    try:
        script = run_script(path, started.nest, started)
        result = {name: as_ids(getattr(script, name)) for name in ("populations", "aliases")}
        result["notes"] = script.notes
    except ScriptError as error:
        result = {"error": str(error)}
    result["restored"] = before == (sys.argv, sys.path, sys.modules["__main__"], Path.cwd(), sys.stdout)
    names = ("num_processes", "total_num_virtual_procs", "rng_seed", "resolution", "print_time")
    result["kernel"] = {name: getattr(started.nest, name) for name in names}
    result["overwrite_files"] = started.nest.overwrite_files
    started.nest.Simulate(1.0)  # the guards are gone
    result["time_ms"] = started.nest.biological_time
    return result


started = kernel.start(MPI.COMM_WORLD, int(sys.argv[1]), int(sys.argv[2]), 0.1)
for script in sys.argv[3:]:
    started.nest.ResetKernel()
    started.restore()
    result = became(Path(script), started)
    if MPI.COMM_WORLD.rank == 0:
        print("RESULT", json.dumps(result, default=np.generic.item), flush=True)
