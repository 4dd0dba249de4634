# SPDX-License-Identifier: GPL-2.0-or-later
"""A run stays what it was at its start: memory, speed, and bytes for each spike.

Two thousand steps; with COSIM_FULL in the environment ten thousand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec

from cosim.results.run_data import RunData

IS_FULL = bool(os.environ.get("COSIM_FULL"))
STEPS = 10_000 if IS_FULL else 2_000
RANKS, SETTLED, MOST_GROWTH_BYTES = 3, 500, 5e6
# Other processes disturb short windows more.
WINDOW, MOST_SLOW_DOWN = (1_000, 0.03) if IS_FULL else (500, 0.1)
ATTEMPTS = 4
SPIKE_BYTES, FILE_BYTES = 16, 50_000

# Light and wheels do not change, so that no step has more to do than another.
TRANSFER = """
import os
from pathlib import Path

from cosim import transfer_function

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@transfer_function
def see(left_light, right_light):
    left_light.rate_hz = right_light.rate_hz = 2000.0


@transfer_function
def weigh(step):
    if step % 100 == 0:
        with open("memory.txt", "a") as file:
            print(step, *map(resident_bytes, ranks()), file=file)


def ranks():
    pids = sorted(map(int, filter(str.isdigit, os.listdir("/proc"))))
    return [pid for pid in pids if parent(pid) == os.getppid()]


def parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # a process that has just ended
        return 0


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunData:
    return long_run(tmp_path_factory.mktemp("long"))


def long_run(folder: Path) -> RunData:
    """A run with ``memory.txt`` beside its results: steps, and the resident bytes of each rank."""
    shutil.copytree(REPOSITORY / "models/braitenberg", folder / "still")
    (folder / "still/transfer.py").write_text(TRANSFER)
    text = (folder / "still/experiment.toml").read_text()
    (folder / "still/experiment.toml").write_text(text[: text.index("[protocol]")])
    short = ("--set", "clock.coupling_step_ms=4.0", "--set", "brain.virtual_processes=2")
    command = [find_mpiexec(), "-n", RANKS, sys.executable, REPOSITORY / "run.py", folder / "still", *short]
    command += ["--steps", STEPS, "--out", folder / "run"]
    command = list(map(str, command))
    subprocess.run(command, cwd=folder, env=clean_environment(), check=True, capture_output=True)
    return RunData(folder / "run")


def test_the_memory_of_no_rank_grows(run):
    step, *resident = np.loadtxt(run.folder.path.parent / "memory.txt").T
    assert len(resident) == RANKS and step[-1] == STEPS
    for rank, used in enumerate(resident):
        growth = used[step >= SETTLED].max() - used[step == SETTLED][0]
        assert growth < MOST_GROWTH_BYTES, f"rank {rank}"


def test_files_have_the_size_of_what_is_in_them(run):
    spikes = sum(run.spike_counts.values())
    assert spikes > STEPS
    assert 0 < run.folder.spike_file.stat().st_size - spikes * SPIKE_BYTES < FILE_BYTES
    with h5py.File(run.folder.run_file) as file:
        content = []
        file.visititems(lambda _, item: content.append(getattr(item, "nbytes", 0)))
    assert 0 < run.folder.run_file.stat().st_size - sum(content) < FILE_BYTES


def test_the_last_steps_take_as_long_as_the_first(run, tmp_path):
    """What other processes do to a machine passes: a run that slows down does so every time."""
    found = [slow_down(run)]
    while found[-1] > MOST_SLOW_DOWN and len(found) < ATTEMPTS:
        found.append(slow_down(long_run(tmp_path / str(len(found)))))
    assert found[-1] <= MOST_SLOW_DOWN, found


def slow_down(run: RunData) -> float:
    """By how much the fastest steps at the end, one in a hundred, are slower than those at the start."""
    step_s = sum(run.profile.values()).max(axis=0)
    first_s, last_s = (np.percentile(part, 1) for part in (step_s[:WINDOW], step_s[-WINDOW:]))
    return last_s / first_s - 1
