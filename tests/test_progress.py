# SPDX-License-Identifier: GPL-2.0-or-later
"""A run says how far it is: a bar on the terminal from which it was launched, log lines elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec

from cosim.show import progress
from cosim.show.progress import Progress


def read_all(terminal: int) -> str:
    """Everything that is written to the other end until it is closed."""
    parts = []
    while True:
        try:
            parts.append(os.read(terminal, 4096))
        except OSError:  # Linux says so when nobody holds the other end any more
            return b"".join(parts).decode(errors="replace")


@pytest.mark.timeout(120)
def test_a_bar_is_shown_on_the_terminal_from_which_mpiexec_was_started(tmp_path):
    ours, theirs = pty.openpty()
    small = ["--steps", "5", "--set", "brain.patch_mm=0.1", "--out", str(tmp_path / "run")]
    command = [find_mpiexec(), "-n", "2", sys.executable, "run.py", "mouse_m1", *small]
    environment = clean_environment(TERM="xterm", COLUMNS="120")
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = read_all(ours)
    os.close(ours)
    assert process.returncode == 0, shown
    assert "coupling steps" in shown
    assert "5/5" in shown
    assert "real-time factor" in shown


def test_log_lines_come_at_intervals_where_there_is_no_terminal(monkeypatch, caplog):
    caplog.set_level("INFO", logger="cosim")
    monkeypatch.setattr(progress, "find_terminal", lambda: None)
    times = iter([100.0, 102.0, 106.0, 107.0])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(times))
    shown = Progress(steps=10, step_ms=500.0)
    for step in range(4):
        shown.update(step)
    shown.close()
    assert [record.getMessage() for record in caplog.records] == ["step 2 of 10, real-time factor 0.167, 24 s left"]


def test_a_terminal_that_has_gone_or_is_anothers_does_no_harm(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", logger="cosim")
    ours, theirs = pty.openpty()
    monkeypatch.setattr(progress, "find_terminal", lambda: Path(os.ttyname(theirs)))
    monkeypatch.setattr(progress, "DRAW_INTERVAL_S", 0.0)
    shown = Progress(steps=3, step_ms=20.0)
    shown.update(0)
    os.close(theirs)
    os.close(ours)
    shown.update(1)
    shown.update(2)
    shown.close()
    assert [record.getMessage() for record in caplog.records] == ["no progress bar any more: Input/output error"]
    monkeypatch.setattr(progress, "find_terminal", lambda: tmp_path)  # a folder cannot be opened, not even by root
    Progress(steps=3, step_ms=20.0).close()
