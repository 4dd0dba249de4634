# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that ranks of a run share: how many of them are on it, and what memory they may take and have taken.

Linux only.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# Of a control group: the folder of its tree, the files with limit and use, and the line of memory.stat with
# the part of the use that is cached files, which the kernel gives up when programs want memory.
CGROUP_V2 = ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
CGROUP_V1 = ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


@dataclass(frozen=True)
class Machine:
    """The ranks of a run on one machine, and the memory in bytes that programs may still take there."""

    brain_ranks: int
    has_body: bool
    available_bytes: int


def available_bytes(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> int:
    """Memory of this machine that programs may still take: free, and allowed by control groups and Slurm."""
    lines = (root / "proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return min([free, *_allowed_by_cgroups(root), *_granted_by_slurm(environment)])


def _allowed_by_cgroups(root: Path) -> Iterator[int]:
    """What each of the control groups leaves in which this process lies; containers are such groups."""
    file = root / "proc/self/cgroup"
    for line in file.read_text().splitlines() if file.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        tree, limit, use, cached = CGROUP_V1 if controllers else CGROUP_V2
        group = root / tree / path.strip("/")
        # Inside of a container the path may be that of the machine: not to be seen, but the tree's root is.
        for folder in (group, *group.parents):
            if (folder / limit).is_file() and (allowed := (folder / limit).read_text().strip()) != "max":
                yield int(allowed) - int((folder / use).read_text()) + _statistic(folder, cached)


def _statistic(group: Path, name: str) -> int:
    lines = (group / "memory.stat").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.split()[0] == name), 0)


def _granted_by_slurm(environment: Mapping[str, str]) -> Iterator[int]:
    """What the job asked for on this machine, in MB a node or a core; 0 is all of it."""

    def number(name: str) -> int:
        text = environment.get(f"SLURM_{name}", "")
        return int(text) if text.isdigit() else 0

    for granted_mb in (number("MEM_PER_NODE"), number("MEM_PER_CPU") * number("CPUS_ON_NODE")):
        if granted_mb:
            yield granted_mb * 2**20


def resident_bytes() -> int:
    """Memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB (10^6 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6  # Linux counts in KiB
