# SPDX-License-Identifier: GPL-2.0-or-later
"""run.py with a rank that is killed: ``mpiexec -n N python kill_a_rank.py WHERE RANK STEP DELAY_S FILE <arguments>``.

SIGKILL comes DELAY_S after RANK began to build ("build"), records step STEP ("loop") or left the loop ("merge"), from
another process and so wherever RANK is by then. This process leaves the time in FILE. All ranks write to disk after
every step.
"""

import os
import subprocess
import sys

from mpi4py import MPI

from cosim import build, program
from cosim.parallel.stop import Signals
from cosim.record import series
from cosim.record.recorder import BodyRecorder, BrainRecorder

where, rank, step, delay_s, file = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]


def kill_soon() -> None:
    command = f"sleep {delay_s}; date +%s.%N > {file}; kill -KILL {os.getpid()}"
    # In a session of its own: the launcher would end it with the job.
    subprocess.Popen(["sh", "-c", command], start_new_session=True)


def before(part: object, name: str, call: int = 0) -> None:
    """Start the killer before the given call of a function."""
    function, calls = getattr(part, name), iter(range(10**9))

    def counted(*arguments):
        if next(calls) == call:
            kill_soon()
        return function(*arguments)

    setattr(part, name, counted)


series.FLUSH_INTERVAL_S = 0.0
if MPI.COMM_WORLD.rank == rank:
    if where == "build":
        before(build, "build_network")
        before(build, "build_body")
    elif where == "loop":
        before(BodyRecorder, "record", step)
        before(BrainRecorder, "record", step)
    else:
        before(Signals, "let_results_be_written")

sys.exit(program.main(sys.argv[6:]))
