# SPDX-License-Identifier: GPL-2.0-or-later
"""How much memory a machine has left: free, in control groups of both kinds, and in a Slurm job."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim.parallel.machine import available_bytes

GB = 10**9
JOB = "slurm/uid_0/job_7"


@pytest.fixture
def root(tmp_path) -> Path:
    """A machine with 64 GB free and no control groups."""
    write(tmp_path / "proc/meminfo", f"MemTotal: 1 kB\nMemAvailable: {64 * GB // 1024} kB\n")
    return tmp_path


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def group_v2(folder: Path, limit: str, current: int = 0, cached: int = 0) -> None:
    for name, text in (("max", limit), ("current", str(current)), ("stat", f"anon 1\ninactive_file {cached}\n")):
        write(folder / f"memory.{name}", text + "\n")


def group_v1(folder: Path, limit: int, usage: int) -> None:
    write(folder / "memory.limit_in_bytes", f"{limit}\n")
    write(folder / "memory.usage_in_bytes", f"{usage}\n")
    write(folder / "memory.stat", f"inactive_file 1\ntotal_inactive_file {GB}\n")


def test_this_machine_has_some():
    assert available_bytes() > 100e6


def test_without_limits_all_that_is_free_is_available(root):
    assert available_bytes(root, {}) == pytest.approx(64 * GB, abs=1024)


def test_the_tightest_group_around_the_process_decides(root):
    write(root / "proc/self/cgroup", f"0::/{JOB}/step_0\n")
    tree = root / "sys/fs/cgroup"
    group_v2(tree / JOB / "step_0", "max")
    group_v2(tree / JOB, str(20 * GB), current=6 * GB, cached=2 * GB)
    group_v2(tree / "slurm", str(40 * GB))
    assert available_bytes(root, {}) == 16 * GB


def test_a_container_sees_the_limit_at_the_root_of_its_tree(root):
    write(root / "proc/self/cgroup", "12:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/\n")
    group_v1(root / "sys/fs/cgroup/memory", limit=8 * GB, usage=3 * GB)
    assert available_bytes(root, {}) == 6 * GB


@pytest.mark.parametrize(
    ("granted", "mb"),
    [
        ({"SLURM_MEM_PER_NODE": "64"}, 64),
        ({"SLURM_MEM_PER_NODE": "0"}, None),
        ({"SLURM_MEM_PER_CPU": "100", "SLURM_CPUS_ON_NODE": "4"}, 400),
    ],
)
def test_a_job_has_what_slurm_granted(root, granted, mb):
    assert available_bytes(root, granted) == (mb * 2**20 if mb else available_bytes(root, {}))
