# SPDX-License-Identifier: GPL-2.0-or-later
"""run.py for several experiments in one world, as it takes a second to start, and without figures, which take longer.

``mpiexec -n N python run_several.py EXPERIMENT...``; results are in EXPERIMENT/results. What is said of each ends with
its exit code: ``<0>``.
"""

import sys
from pathlib import Path

from mpi4py import MPI

from cosim import finalize
from cosim.program import main

finalize.draw = lambda _: None
for folder in map(Path, sys.argv[1:]):
    code = main([str(folder), "--out", str(folder / "results")])
    if MPI.COMM_WORLD.rank == 0:
        print(f"<{code}>", file=sys.stderr)
