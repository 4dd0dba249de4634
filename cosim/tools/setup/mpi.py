# SPDX-License-Identifier: GPL-2.0-or-later
"""The MPI library that mpi4py uses, and the launcher that starts ranks with it."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from cosim.parallel.launch import find_mpiexec

# How long two ranks may take to start and say hello.
HELLO_S = 60
# Each rank prints into a file of its own: the launcher may mix what two ranks print within a line.
TO_A_FILE = "import os, sys; sys.stdout = open(os.path.join({folder!r}, str(os.getpid())), 'w')\n"
HELLO = "from mpi4py import MPI; print(MPI.COMM_WORLD.size)"
# Asked without MPI_Init, which a lone process under Slurm may not be allowed.
LIBRARY_VERSION = """
import mpi4py
mpi4py.rc.initialize = False
from mpi4py import MPI
print(MPI.Get_library_version())
"""


def library_name(version: str) -> str:
    """Short name of an MPI library, "mpich-5.0.2", from what ``MPI.Get_library_version`` says."""
    found = re.match(r"(\D+?)(\d+(?:\.\d+)*)", version)
    if found is None:
        raise ValueError(f"no name and version of an MPI library in {version[:60]!r}")
    name = re.sub(r" v$|version|[^a-z]", "", found[1].lower())
    return f"{name}-{found[2]}"


def library_version() -> str:
    """First line of what the MPI library that mpi4py loads says about itself."""
    first = output([sys.executable, "-c", LIBRARY_VERSION]).splitlines()[0]
    return " ".join(first.split())


def launcher_version() -> str:
    """Version of the launcher: the first number with dots in what it says, "5.0.2"."""
    said = output([str(find_mpiexec()), "--version"])
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else said.splitlines()[0]


def lines_of_two_ranks(code: str) -> list[str]:
    """What two ranks started by the launcher print when they run the Python ``code``, sorted."""
    with tempfile.TemporaryDirectory() as folder:
        output([str(find_mpiexec()), "-n", "2", sys.executable, "-c", TO_A_FILE.format(folder=folder) + code])
        return sorted(line for file in Path(folder).iterdir() for line in file.read_text().splitlines())


def output(command: list[str]) -> str:
    """Standard output of a short command; ``RuntimeError`` with its messages if it fails."""
    try:
        done = subprocess.run(command, timeout=HELLO_S, text=True, capture_output=True, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as problem:
        raise RuntimeError(f"{' '.join(command)} did not end within {HELLO_S} s") from problem
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise RuntimeError(f"{' '.join(command)} ended with exit code {done.returncode}: {said[-500:]}")
    return done.stdout.strip()
