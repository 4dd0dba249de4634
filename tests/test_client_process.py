# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever happens to a program that started a run, its processes end, and what it did wrong is said in a line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import clean_environment

import cosim
from cosim.errors import ConfigurationError, RunError
from cosim.record.folder import RunFolder

PROGRAM = """
import os, sys, time
import cosim
run = cosim.start("braitenberg", ranks=1, set={"brain.virtual_processes": 1}, out=sys.argv[1])
run.step(2)
print(run._launched._keeper.pid, flush=True)
"""
ENDS_S = 60


def processes_of(folder: Path) -> list[int]:
    """All processes that were started for a run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(folder) in words and b"-c" not in words:
            found.append(int(process.name))
    return found


def start(folder: Path, more: str) -> subprocess.Popen:
    """A program that starts a run and then does ``more``; returned when the run has done two steps."""
    command = [sys.executable, "-c", PROGRAM + more, str(folder)]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment(), text=True)
    program.keeper = int(program.stdout.readline())
    assert len(processes_of(folder)) >= 3, "keeper, launcher and ranks"
    return program


def await_end(folder: Path) -> None:
    until = time.monotonic() + ENDS_S
    while processes_of(folder):
        assert time.monotonic() < until, f"still there: {processes_of(folder)}"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("os.fork() or time.sleep(60) or os._exit(0)\nos.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("with run:\n    1 / 0", 1),
    ],
)
def test_a_program_that_ends_in_any_way_leaves_no_process_and_results(tmp_path, more, code):
    """Also where a child of the killed program lives on, which has copies of all its files."""
    program = start(tmp_path / "run", more)
    assert program.wait(ENDS_S) == code
    await_end(tmp_path / "run")
    assert json.loads(RunFolder(tmp_path / "run").summary_file.read_text())["steps"] == 2
    program.stdout.close()


def test_a_keeper_that_is_killed_takes_the_run_with_it(tmp_path):
    program = start(tmp_path / "run", "time.sleep(60)")
    os.kill(program.keeper, signal.SIGKILL)
    await_end(tmp_path / "run")
    program.kill()
    program.wait()
    program.stdout.close()


def test_what_cannot_be_run_is_refused_as_cosim_run_does_it_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="experiment 'braitenburg' has no experiment.toml; did you mean brait"):
        cosim.start("braitenburg")
    with pytest.raises(ConfigurationError, match="brain.patch: unknown key") as refused:
        cosim.start("braitenberg", set={"brain.patch": 1})
    assert not str(refused.value).startswith("cosim:") and "Traceback" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="clock.steps"):
        cosim.run("braitenberg", steps=-1)
    assert not [*tmp_path.rglob("*.*")]


def test_a_run_that_fails_says_what_it_printed_last(tmp_path):
    experiment = tmp_path / "failing"
    cosim_new(experiment)
    text = (experiment / "transfer.py").read_text()
    (experiment / "transfer.py").write_text(text + "\n\n@transfer_function\ndef fail(step):\n    1 / (3 - step)\n")
    with pytest.raises(RunError, match=r"(?s)failed.*ZeroDivisionError"):
        cosim.run(experiment, out=tmp_path / "run", steps=5)


def cosim_new(folder: Path) -> None:
    from cosim.tools import new

    assert new.main(str(folder)) == 0


def test_one_call_runs_an_experiment_and_gives_its_results(tmp_path):
    results = cosim.run("braitenberg", steps=3, seed=4, out=tmp_path / "run")
    assert (results.summary["steps"], results.config["seed"]) == (3, 4)


def test_nobody_attaches_to_what_is_no_run(tmp_path):
    with pytest.raises(RunError, match="no such run"):
        cosim.attach(tmp_path / "nothing")
    with pytest.raises(RunError, match="is not the results folder of a run"):
        cosim.attach(tmp_path)
