# SPDX-License-Identifier: GPL-2.0-or-later
"""Start a program under MPI: with mpiexec, or with srun inside an allocation of Slurm. Nothing here starts MPI."""

from __future__ import annotations

import os
import shlex
import shutil
import site
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from cosim.errors import ConfigurationError

# What launchers say about the number of ranks, in the order in which to believe them: mpiexec below Slurm
# sets the first one for its ranks while Slurm's own variables count mpiexec's helpers.
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
# What a launcher leaves in the environment of its ranks; another launch starts without.
LAUNCHER_PREFIXES = ("PMI", "MPI_LOCAL", "HYDRA", "OMPI_")


def is_rank(variables: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher started this process as one of several ranks."""
    return any(variables.get(name, "1") != "1" for name in SIZES)


def in_allocation() -> bool:
    """Whether this process is in a job of Slurm that can start steps."""
    return "SLURM_JOB_ID" in os.environ and shutil.which("srun") is not None


def allocated_ranks(variables: Mapping[str, str] = os.environ) -> int:
    """Ranks that the job of Slurm asked for; one on each node where it did not say."""
    return int(variables.get("SLURM_NTASKS") or variables.get("SLURM_JOB_NUM_NODES") or 1)


def check_allocation(ranks: int) -> None:
    """Check that the job of Slurm, if this process is in one that says how many tasks it has, has room for ``ranks``.

    Raises:
        ConfigurationError: it asked for fewer.
    """
    tasks = os.environ.get("SLURM_NTASKS", "")
    if in_allocation() and tasks.isdigit() and int(tasks) < ranks:
        raise ConfigurationError(
            f"the job of Slurm has --ntasks={tasks}: must be --ntasks={ranks} or more, "
            "one for the body and one for each brain rank"
        )


def find_mpiexec() -> Path | None:
    """The one beside this Python, where that of an MPI library from PyPI is, else the first on PATH."""
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    return Path(found) if found else None


def launcher(ranks: int, threads: int) -> list[str]:
    """The command in front of a program that makes it an MPI job of so many ranks with ``threads`` cores each.

    Raises:
        ConfigurationError: there is none on this machine.
    """
    if in_allocation():
        # MPICH finds its ranks through PMI-2; without --cpus-per-task each rank would get a single core. A rank that
        # ends early does not end the others at once, as each has results to write; Ctrl-C reaches all of them.
        pmi = os.environ.get("SLURM_MPI_TYPE", "pmi2")
        shape = [f"--ntasks={ranks}", f"--cpus-per-task={threads}", "--cpu-bind=cores", "--overlap"]
        return ["srun", f"--mpi={pmi}", *shape, "--disable-status", "--kill-on-bad-exit=0", "--wait=8"]
    mpiexec = find_mpiexec()
    if mpiexec is None:
        raise ConfigurationError(
            "no mpiexec beside this Python or on PATH, and MPI is needed to run: pip install mpich brings both"
        )
    return [str(mpiexec), "-n", str(ranks)]


def environment() -> dict[str, str]:
    """Our environment without what an MPI launcher put there; ranks import the same cosim as we."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHER_PREFIXES)}
    source = str(Path(__file__).resolve().parents[2])
    if source in map(os.path.realpath, (*site.getsitepackages(), site.getusersitepackages())):
        return kept  # found anyway, and before Python's own modules it must not stand
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, [source, kept.get("PYTHONPATH")]))}


def become(ranks: int, threads: int, module: Sequence[str]) -> NoReturn:
    """Become the launcher of a Python module with its arguments: signals, terminal and exit code are its own.

    Raises:
        ConfigurationError: there is no launcher.
    """
    # -P: modules are not looked for in the working directory.
    command = [*launcher(ranks, threads), sys.executable, "-P", "-m", *module]
    print(shlex.join(command), file=sys.stderr, flush=True)
    os.execvpe(command[0], command, environment())
