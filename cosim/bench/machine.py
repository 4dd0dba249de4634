# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine on which something was measured, told with every measurement."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import cosim
from cosim.engines.nest.nestlink import NestlinkError, find_nest
from cosim.parallel.mpi import MPI
from cosim.record.provenance import git_revision


def describe() -> dict[str, Any]:
    """Processor, cores, memory, load, versions, date. Does not start MPI.

    ``load_average`` is over 1, 5 and 15 minutes, from before the measurement if this is called first.
    """
    return {
        "cpu": cpu_model(),
        "cores": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "host": platform.node(),
        "system": platform.platform(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "git_revision": git_revision(),
        "versions": {
            "cosim": cosim.__version__,
            "nest": _nest(),
            "mpi": " ".join(MPI.Get_library_version().splitlines()[0].split()),
            "python": platform.python_version(),
        },
    }


def cpu_model() -> str:
    """As the kernel names it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _nest() -> str:
    """Version of NEST and whether it has MPI, without importing it."""
    try:
        nest = find_nest()
    except NestlinkError:
        return "none"
    return f"{nest.version} {'with' if nest.has_mpi else 'without'} MPI"
