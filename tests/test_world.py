# SPDX-License-Identifier: GPL-2.0-or-later
"""What a rank can tell by itself: whether the world has the right size, what cores lack, and how it waits."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec

from cosim.errors import ConfigurationError
from cosim.parallel import world
from cosim.parallel.machine import Machine
from cosim.parallel.world import LongWait, World, check_size, wait_briefly


@pytest.mark.parametrize("name", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_a_launcher_that_started_another_number_of_ranks_is_named(name):
    """With a PMI that does not fit every rank is alone in a world of its own."""
    with pytest.raises(ConfigurationError, match=rf"started 3 ranks \({name}=3\) but MPI sees a world of 1"):
        check_size(1, {name: "3"})


def test_the_launcher_of_the_ranks_is_believed_before_slurm():
    """mpiexec inside a Slurm job: Slurm counts mpiexec's helpers, one a node."""
    check_size(4, {"PMI_SIZE": "4", "SLURM_STEP_NUM_TASKS": "2"})


@pytest.mark.parametrize("environment", [{}, {"PMI_SIZE": ""}])
def test_a_world_of_which_no_launcher_tells_the_size_passes(environment):
    check_size(2, environment)


def test_one_rank_is_too_few():
    with pytest.raises(ConfigurationError, match="at least 2 MPI ranks .* got 1: `cosim run` starts"):
        check_size(1, {})


@pytest.mark.parametrize(
    ("cores", "ranks", "threads", "missing"), [(4, 3, 1, 0), (4, 4, 1, 1), (4, 1, 4, 1), (1, 3, 2, 0), (8, 2, 4, 1)]
)
def test_cores_that_the_ranks_of_a_machine_lack(monkeypatch, cores, ranks, threads, missing):
    """A rank that has but one core was bound to it, as all others to theirs."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    assert World(None, None, (Machine(ranks, True, 0),)).missing_cores(threads) == missing


def test_mpi_puts_no_locks_around_the_calls_of_the_only_thread_that_makes_them():
    program = "import cosim.program; from mpi4py import MPI; print(MPI.Query_thread() == MPI.THREAD_FUNNELED)"
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, cwd=REPOSITORY, env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert said.stdout.splitlines()[-1] == "True", said.stderr


NAMED = "open('/proc/self/comm', 'w').write('{}'); print('named', flush=True); input()"


@pytest.mark.parametrize(("name", "is_helper"), [("hydra_pmi_proxy", True), ("prted", True), ("bash", False)])
def test_what_mpiexec_starts_ranks_through_is_known_by_its_name(name, is_helper):
    command = [sys.executable, "-c", NAMED.format(name)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "named\n"
        assert world.is_launchers_helper(process.pid) == is_helper
        process.communicate("\n")


def test_a_parent_outside_of_the_container_is_no_helper_and_costs_no_run():
    """In a PID namespace of its own a rank has the parent 0, of which /proc knows nothing."""
    assert not world.is_launchers_helper(0)
    alone = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("namespaces cannot be made here")
    program = "import os; from cosim.parallel.world import split; print(os.getppid(), split().brain_ranks)"
    command = [find_mpiexec(), "-n", "2", *alone, sys.executable, "-c", program]
    said = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    assert sorted(re.sub(r"\s", "", said.stdout)) == ["0", "0", "1", "1"], "ranks may print into each other's lines"


class Clock:
    """Stands still but for naps and looks, of which it keeps account."""

    def __init__(self) -> None:
        self.now_s, self.asleep_s, self.looks = 0.0, 0.0, 0

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s
        self.asleep_s += duration_s

    def done_at(self, end_s: float):
        def is_done() -> bool:
            self.now_s, self.looks = self.now_s + 1e-6, self.looks + 1
            return self.now_s >= end_s

        return is_done


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(world.time, "perf_counter", lambda: clock.now_s)
    monkeypatch.setattr(world.time, "sleep", clock.sleep)
    return clock


def late_and_asleep(clock: Clock, long_wait: LongWait, lengths_s: list[float]) -> tuple[list[float], float]:
    """By how much each of some waits was too long, and the share of all that was slept."""
    began_s, slept_s, late_s = clock.now_s, clock.asleep_s, []
    for length_s in lengths_s:
        end_s = clock.now_s + length_s
        long_wait.wait(clock.done_at(end_s))
        late_s.append(clock.now_s - end_s)
    return late_s, (clock.asleep_s - slept_s) / (clock.now_s - began_s)


def test_long_waits_of_about_the_same_length_are_slept_and_end_in_time(clock):
    long_wait = LongWait()
    late_and_asleep(clock, long_wait, [0.04] * 100)
    late_s, asleep = late_and_asleep(clock, long_wait, [0.04, 0.045, 0.038, 0.05] * 25)
    assert max(late_s) < 5e-4
    assert asleep > 0.99


def test_waits_that_become_shorter_are_overslept_once(clock):
    long_wait = LongWait()
    late_and_asleep(clock, long_wait, [0.04] * 100)
    late_s, _ = late_and_asleep(clock, long_wait, [0.01] * 20)
    assert 5e-3 < late_s[0] < 0.011 and max(late_s[1:]) < 5e-4


def test_a_wait_that_takes_unusually_long_is_slept_and_changes_nothing_for_the_next_ones(clock):
    late_s, _ = late_and_asleep(clock, LongWait(), [0.01] * 10 + [60.0, 3600.0] + [0.01] * 20)
    assert max(late_s[10:12]) <= 0.1
    assert max(late_s[:10] + late_s[12:]) < 2e-4
    assert clock.looks < 50_000


def test_a_brief_wait_that_becomes_long_is_slept(clock):
    wait_briefly(clock.done_at(0.0005))
    assert clock.asleep_s == 0
    wait_briefly(clock.done_at(1.0))
    assert clock.now_s < 1.06 and clock.asleep_s > 0.9
