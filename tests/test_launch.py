# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim run``: how many ranks it starts and what it says of them, and that Ctrl-C and exit code pass through."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from conftest import REPOSITORY, clean_environment

from cosim.cli import main
from cosim.engines.nest import nestlink
from cosim.errors import ConfigurationError
from cosim.experiment.options import Options, parse
from cosim.modes.launch import _see_to_nestlink, brain_ranks, run
from cosim.parallel import launch

COSIM = (sys.executable, "-m", "cosim")


@pytest.fixture
def allocation(monkeypatch):
    """Makes this process believe that it is in a job of Slurm with so many tasks."""

    def make(tasks: int | None) -> None:
        monkeypatch.setenv("SLURM_JOB_ID", "7")
        monkeypatch.setattr(launch.shutil, "which", lambda name: f"/usr/bin/{name}")
        monkeypatch.delenv("SLURM_NTASKS", raising=False)
        if tasks:
            monkeypatch.setenv("SLURM_NTASKS", str(tasks))

    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return make


def test_a_nest_without_its_library_is_told_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(nestlink, "find_nest", lambda: nestlink.NestInstall(tmp_path))
    with pytest.raises(ConfigurationError, match=r"No such file.*nestkernel_api\.so'$"):
        _see_to_nestlink()


@pytest.fixture(autouse=True)
def has_mpi(monkeypatch):
    nest = SimpleNamespace(has_mpi=True)
    monkeypatch.setattr(nestlink, "find_nest", lambda: nest)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    return nest


@pytest.mark.parametrize(
    ("tasks", "processes", "recorded", "ranks", "said"),
    [
        (None, 4, None, 1, ""),
        (None, 4, 2, 2, ""),
        (None, 4, 4, 1, ""),  # with the body rank they are more than the cores
        (5, 4, None, 4, ""),
        (5, 6, None, 3, "cosim: brain ranks: 3 in place of 4, which do not divide brain.virtual_processes = 6\n"),
        (8, 5, None, 5, "cosim: brain ranks: 5 in place of 7, which do not divide brain.virtual_processes = 5\n"),
        (1, 4, 2, 1, ""),
    ],
)
def test_brain_ranks_are_those_of_the_allocation_or_of_the_record_as_far_as_they_divide(
    allocation, capsys, tasks, processes, recorded, ranks, said
):
    if tasks:
        allocation(tasks)
    assert brain_ranks(processes, recorded) == ranks
    assert capsys.readouterr().err == said


def test_without_mpi_in_nest_there_is_one_and_that_is_said(allocation, has_mpi, capsys):
    has_mpi.has_mpi = False
    allocation(5)
    assert brain_ranks(4, None) == 1
    assert capsys.readouterr().err == "cosim: 1 brain rank in place of 4, as this NEST has no MPI\n"


def test_in_an_allocation_srun_starts_the_ranks_and_takes_one_ctrl_c(allocation):
    allocation(3)
    words = launch.launcher(ranks=3, threads=2)
    assert words[0] == "srun"
    assert {"--ntasks=3", "--cpus-per-task=2", "--mpi=pmi2", "--disable-status", "--overlap"} <= set(words)


@pytest.mark.parametrize(("tasks", "ranks"), [(1, 2), (3, 4)])
def test_more_ranks_than_the_allocation_has_are_refused_with_how_many_it_needs(allocation, tasks, ranks):
    allocation(tasks)
    with pytest.raises(ConfigurationError, match=rf"--ntasks={tasks}: must be --ntasks={ranks} or more, .*$"):
        launch.check_allocation(ranks)


@pytest.mark.parametrize("tasks", [None, 2])
def test_an_allocation_that_is_large_enough_or_does_not_say_is_no_problem(allocation, tasks):
    allocation(tasks)
    launch.check_allocation(2)


def test_cosim_run_asks_the_allocation_before_it_starts_anything(allocation, monkeypatch):
    monkeypatch.setattr(launch, "is_rank", lambda: False)
    monkeypatch.setattr(launch, "become", pytest.fail)
    for tasks, arguments, ranks in ((1, [], 2), (2, ["--ranks", "2"], 3)):
        allocation(tasks)
        with pytest.raises(ConfigurationError, match=f"must be --ntasks={ranks} or more"):
            run(["braitenberg", *arguments])


def test_cosim_replay_takes_the_options_of_cosim_run(monkeypatch):
    told = []
    monkeypatch.setattr("cosim.modes.launch.run", lambda arguments: told.append(parse(arguments, quiet=True)) or 0)
    assert main(["replay", "a run", "moved", "--force", "--ranks", "2", "--set", "brain.g=6", "--out", "again"]) == 0
    assert told == [Options("moved", ("brain.g=6",), "again", replay="a run", ranks=2, force=True)]


def test_without_a_launcher_one_line_says_what_to_install(monkeypatch, tmp_path, allocation):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"^no mpiexec beside this Python or on PATH.*: pip install mpich .*$"):
        launch.launcher(2, 1)


@pytest.mark.parametrize(
    ("variables", "is_rank"),
    [({}, False), ({"PMI_SIZE": "2"}, True), ({"PMI_SIZE": "1"}, False), ({"SLURM_STEP_NUM_TASKS": "3"}, True)],
)
def test_a_rank_knows_that_it_is_one(variables, is_rank):
    assert launch.is_rank(variables) is is_rank


def call(*arguments: object, **options) -> subprocess.CompletedProcess:
    words = [*COSIM, *map(str, arguments)]
    streams = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    return subprocess.run(words, env=clean_environment(), timeout=240, **streams, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mouse_m2"], "did you mean mouse_m1?"),
        (["mouse_m1", "--ranks", "3"], "3 brain ranks do not divide it; allowed numbers of brain ranks: 1, 2, 4"),
        (["mouse_m1", "--ranks", "0"], "--ranks: 0: must be a whole number, 1 or more"),
        (["--replay", "nowhere"], "must be the results folder of a run"),
    ],
)
def test_what_cannot_run_is_refused_before_a_launcher_is_started(arguments, message, tmp_path):
    refused = call("run", *arguments, cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert message in refused.stderr and "Traceback" not in refused.stderr and "mpiexec" not in refused.stderr
    assert not list(tmp_path.iterdir())


def test_under_a_launcher_it_is_a_rank_and_other_ranks_than_started_are_refused(launch, tmp_path):
    refused = launch(
        2, REPOSITORY / "cosim/__main__.py", "run", "braitenberg", "--ranks", "2", "--out", tmp_path / "run"
    )
    assert refused.returncode == 2
    assert refused.stderr.count("cosim: --ranks 2: must be 1, as many as the launcher started") == 1
    assert not (tmp_path / "run").exists()


def test_ctrl_c_reaches_the_ranks_once_and_the_run_ends_with_complete_results(tmp_path):
    """On a terminal of its own, as a user types it."""
    words = [*COSIM, "run", "braitenberg", "--steps", "10000000", "--out", str(tmp_path / "run")]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execvpe(words[0], words, clean_environment())
    said = read_until(terminal, rb"coupling steps.*[1-9]\d*/10000000")
    os.write(terminal, b"\x03")
    said += read_until(terminal, None)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3, said.decode()
    assert said.count(b"SIGINT noted") == 1 and b"after SIGINT" not in said
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["stopped_by"] == "signal SIGINT" and 0 < summary["steps"] < 10_000_000


def read_until(terminal: int, wanted: bytes | None) -> bytes:
    """What a terminal shows until it shows ``wanted``, or to its end."""
    shown, until = b"", time.monotonic() + 200
    while not (wanted and re.search(wanted, shown, re.DOTALL)):
        assert time.monotonic() < until, shown.decode()
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # EIO: all who could write have gone
            assert wanted is None, shown.decode()
            return shown
    return shown
