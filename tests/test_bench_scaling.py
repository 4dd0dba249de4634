# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim bench scaling`` in a job that ends too early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import REPOSITORY, clean_environment
from test_bench import RANKS, SMALL

from cosim.bench import scaling


@pytest.mark.timeout(120)
def test_a_job_that_is_killed_leaves_the_runs_that_were_done(tmp_path):
    shape = ["--ranks", f"1,{RANKS}", "--steps", 2, "--repetitions", 1000, "--out", tmp_path]
    command = [sys.executable, "-m", "cosim.cli", "bench", "scaling", "mouse_m1", *SMALL, *shape]
    log, file = tmp_path / "log", tmp_path / "scaling.json"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            list(map(str, command)), cwd=REPOSITORY, env=clean_environment(), stderr=errors, start_new_session=True
        ) as job,
    ):
        try:
            while not file.exists():
                assert job.poll() is None, log.read_text()
                time.sleep(0.05)
        finally:
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)
    result = json.loads(file.read_text())
    assert 1 <= result["repetitions"] < 1000
    assert result["by_ranks"]["1"]["runtime_s"]["min"] > 0
    assert len(list(scaling.rows(result))) == len(result["by_ranks"])
    assert not (tmp_path / "scaling.png").exists()
