# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim replay RUN``: start ``run.py --replay RUN`` under MPI, or be a rank of it under a launcher."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import cosim
from cosim.bench.launch import environment, in_allocation, launcher
from cosim.engines.nest.nestlink import find_nest
from cosim.results.run_data import load

RUN_PY = Path(cosim.__file__).parents[1] / "run.py"
# What launchers tell their ranks about the number of ranks; see ``cosim.parallel.world``.
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")


def replay(run: str, overrides: Sequence[str], out: str | None) -> int:
    """Replay a run and return the exit code; a process that starts a launcher becomes that launcher.

    Raises:
        ConfigurationError: no run, or no launcher.
    """
    settings = [word for each in overrides for word in ("--set", each)]
    arguments = ["--replay", run, *settings, *(["--out", out] if out else [])]
    if any(os.environ.get(name, "1") != "1" for name in SIZES):
        from cosim.run import main  # starts MPI

        return main(arguments)
    provenance = load(run).provenance
    brain_ranks = _brain_ranks(int(provenance["brain_ranks"]))
    threads = max(1, int(provenance["virtual_processes"]) // brain_ranks)
    command = [*launcher(brain_ranks + 1, threads), sys.executable, str(RUN_PY), *arguments]
    print(" ".join(command), file=sys.stderr, flush=True)
    os.execvpe(command[0], command, environment())


def _brain_ranks(recorded: int) -> int:
    """As many as the run had, where NEST and the cores of this machine allow it, else one with threads."""
    fits = in_allocation() or recorded < len(os.sched_getaffinity(0))
    return recorded if fits and find_nest().has_mpi else 1
