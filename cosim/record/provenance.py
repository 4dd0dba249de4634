# SPDX-License-Identifier: GPL-2.0-or-later
"""Where results come from: stored as attributes of ``run.h5``."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
import time
from pathlib import Path

from mpi4py import MPI

import cosim
from cosim.brain.nestlink import find_nest
from cosim.config import Configuration

PACKAGES = ("numpy", "h5py", "mpi4py", "pybullet", "pydantic", "numba")


def attributes(config: Configuration, brain_ranks: int) -> dict[str, str | int]:
    """Configuration, versions, seed, ranks and threads, git revision, machine. Body rank only."""
    versions = {f"version_{name}": importlib.metadata.version(name) for name in PACKAGES}
    return {
        "configuration": config.to_toml(),
        "seed": config.seed,
        "brain_ranks": brain_ranks,
        "threads_per_brain_rank": config.brain.virtual_processes // brain_ranks,
        "virtual_processes": config.brain.virtual_processes,
        "command": " ".join(sys.argv),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": platform.node(),
        "git_revision": git_revision(),
        "version_cosim": cosim.__version__,
        "version_python": platform.python_version(),
        "version_nest": str(find_nest()),
        "version_mpi": MPI.Get_library_version().splitlines()[0],
        **versions,
    }


def git_revision() -> str:
    """Revision of the source that runs, with ``-dirty`` if files were changed since; empty outside a git clone."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    except FileNotFoundError:  # no git on this machine
        return ""
    return result.stdout.strip()
