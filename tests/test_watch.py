# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim watch`` and others who read a run that goes on: what they see is right, and the run does not change."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import PROGRAMS, clean_environment, find_mpiexec

import cosim.results
from cosim import cli
from cosim.record import attempts, owner
from cosim.record.folder import RunFolder
from cosim.record.names import SPIKE_IDS, SPIKE_TIMES, SPIKES_DONE
from cosim.results.run_data import RunData
from cosim.show import watch
from cosim.show.status import BUILDS, COMPLETE, DEAD, RUNS, STARTS, STOPPED, Glance, Watcher

RANKS, STEPS, SUBSTEPS, STEP_MS = 3, 500, 5, 20.0
SMALL = ("braitenberg", "--set", "brain.virtual_processes=2", "--steps", STEPS)
READ_INTERVAL_S = 0.05

pytestmark = pytest.mark.timeout(200)


class Seen:
    """What a reader saw of a run at a moment, while it was written."""

    def __init__(self, path: Path) -> None:
        data = cosim.results.load(path)
        self.readout, self.body, self.profile = data.readout, data.body, data.profile
        self.spikes = dict(data.spikes) if (path / "populations.json").is_file() else {}
        self.end_ms = max((done * STEP_MS for done in map(check_shard, shards(path))), default=0.0)


def shards(path: Path) -> list[Path]:
    return sorted(path.glob("shards/rank-*.h5"))[1:]


def check_shard(path: Path) -> int:
    """Each spike that a step claims lies in that step; returns the number of steps."""
    with h5py.File(path, "r", swmr=True) as file:
        done = file[SPIKES_DONE][:]
        times_ms, ids = file[SPIKE_TIMES][:], file[SPIKE_IDS][:]
    done = done[done <= min(len(times_ms), len(ids))]
    last = done[-1] if len(done) else 0
    step = np.searchsorted(done, np.arange(last), side="right")
    assert np.all((times_ms[:last] > step * STEP_MS) & (times_ms[:last] <= (step + 1) * STEP_MS + 1e-9))
    assert np.all(ids[:last] > 0)
    return len(done)


@pytest.fixture(scope="module")
def observed(tmp_path_factory) -> tuple[Path, list[Seen], list[Glance]]:
    """A run that is read all the time: its folder, and what was seen."""
    path = tmp_path_factory.mktemp("observed") / "run"
    program = PROGRAMS / "write_often.py"
    command = [find_mpiexec(), "-n", RANKS, sys.executable, program, *SMALL, "--out", path]
    seen, glances, watcher = [], [], Watcher(path)
    with subprocess.Popen(list(map(str, command)), env=clean_environment(), cwd=path.parent) as process:
        while process.poll() is None:
            if (path / "shards/built.json").is_file() and not (path / "spikes.h5").is_file():
                seen.append(Seen(path))
                glances.append(watch.patient_look(watcher))
            time.sleep(READ_INTERVAL_S)
    assert process.returncode == 0
    return path, seen, [*glances, watch.patient_look(watcher)]


def test_a_reader_sees_only_what_will_be_in_the_results(observed):
    path, seen, _ = observed
    results = RunData(path)
    assert len({moment.end_ms for moment in seen}) > 4, "too few looks to say anything"
    for moment in seen:
        assert_beginning(moment.readout, results.readout)
        assert_beginning(moment.body, results.body)
        assert_beginning({name: rows.T for name, rows in moment.profile.items()},
                         {name: rows.T for name, rows in results.profile.items()})  # fmt: skip
        for name, spikes in moment.spikes.items():
            assert_beginning(spikes._asdict(), results.spikes[name]._asdict())
            assert spikes.timestamps_ms.max(initial=0) <= moment.end_ms


def assert_beginning(part: dict[str, np.ndarray], whole: dict[str, np.ndarray]) -> None:
    for name, rows in part.items():
        np.testing.assert_array_equal(rows, whole[name][: len(rows)], err_msg=name)


def test_a_reader_does_not_change_the_results(observed, launch, tmp_path):
    result = launch(RANKS, "run.py", *SMALL, "--out", tmp_path / "unseen")
    assert result.returncode == 0, result.stderr
    read, unseen = RunData(observed[0]), RunData(tmp_path / "unseen")
    assert sum(read.spike_counts.values()) > 1000
    for name, spikes in unseen.spikes.items():
        np.testing.assert_array_equal(read.spikes[name].timestamps_ms, spikes.timestamps_ms)
        np.testing.assert_array_equal(read.spikes[name].node_ids, spikes.node_ids)
    assert_beginning(read.body, unseen.body)


def test_watch_tells_what_the_results_will_say(observed):
    path, _, glances = observed
    assert all(later.step >= earlier.step for earlier, later in zip(glances, glances[1:], strict=False))
    running = [glance for glance in glances if glance.state == RUNS and glance.step > 0]
    assert len(running) > 3
    results = RunData(path)
    for glance in running:
        assert (glance.steps, glance.simulated_ms) == (STEPS, glance.step * STEP_MS)
        assert_rates(glance, results)
        assert glance.position_m["vehicle"] == results.body["position_m"][glance.step * SUBSTEPS - 1].tolist()
        phases_s = {name: times_s[0, : glance.step].sum() for name, times_s in results.profile.items()}
        wall_s = sum(phases_s.values()) - phases_s["steer"]
        assert glance.real_time_factor == pytest.approx(glance.simulated_ms / 1000 / wall_s)
        assert glance.left_s > 0 and glance.recent_real_time_factor > 0
        assert len(glance.memory_mb) == RANKS and all(50 < each < 2000 for each in glance.memory_mb)
    last = glances[-1]
    assert (last.state, last.step, last.has_ended) == (COMPLETE, STEPS, True)
    assert last.real_time_factor == results.summary["real_time_factor"]
    assert last.position_m["vehicle"] == results.body["position_m"][-1].tolist()
    assert_rates(last, results)


def assert_rates(glance: Glance, results: RunData) -> None:
    assert glance.window_ms == min(glance.simulated_ms, 500.0)
    assert set(glance.rate_hz) == {"left_eye", "right_eye", "left_motor", "right_motor"}
    start_ms = glance.simulated_ms - glance.window_ms
    for name, rate_hz in glance.rate_hz.items():
        times_ms = results.spikes[name].timestamps_ms
        spikes = np.count_nonzero((times_ms > start_ms) & (times_ms <= glance.simulated_ms))
        assert rate_hz == pytest.approx(spikes / results.populations[name].size / glance.window_ms * 1000)


def look_once(path: Path, capsys: pytest.CaptureFixture) -> dict:
    assert cli.main(["watch", str(path), "--once", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


BREAK = PROGRAMS / "break_a_rank.py"


def test_a_run_that_was_killed_is_told_from_one_that_was_stopped(launch, tmp_path, capsys):
    small = (*SMALL[:-1], 12)
    assert launch(RANKS, BREAK, "kill", 2, 7, *small, "--out", tmp_path / "killed").returncode != 0
    seen = look_once(tmp_path / "killed", capsys)
    assert (seen["state"], seen["steps"], len(seen["memory_mb"])) == (DEAD, 12, RANKS)
    assert 4 <= seen["step"] <= 7
    assert cli.main(["watch", str(tmp_path / "killed")]) == 0, "there is nothing to wait for"
    assert "cosim recover" in capsys.readouterr().out
    assert launch(RANKS, BREAK, "signal", 1, 7, *small, "--out", tmp_path / "stopped").returncode == 3
    seen = look_once(tmp_path / "stopped", capsys)
    assert (seen["state"], seen["reason"], seen["step"]) == (STOPPED, "signal SIGTERM", 8)


def test_a_run_is_seen_from_its_first_moment(tmp_path, capsys):
    (tmp_path / "run/shards").mkdir(parents=True)
    assert look_once(tmp_path / "run", capsys)["state"] == STARTS
    (tmp_path / "run/config.toml").write_text("[clock]\nsteps = 7\n")
    assert look_once(tmp_path / "run", capsys)["state"] == DEAD
    owner.claim(RunFolder(tmp_path / "run"))
    seen = look_once(tmp_path / "run", capsys)
    assert (seen["state"], seen["step"], seen["steps"]) == (BUILDS, 0, 7)


def test_who_looks_at_a_run_is_not_in_the_way_of_one_that_claims_it(tmp_path):
    (tmp_path / "shards").mkdir()
    folder = RunFolder(tmp_path)
    with folder.owner_file.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        threading.Timer(0.3, file.close).start()
        owner.claim(folder)
    assert owner.living_owner(folder)


def test_a_run_that_goes_on_is_seen_where_it_is_written(observed, tmp_path, capsys):
    run = RunFolder(shutil.copytree(observed[0], tmp_path / "run"))
    attempts.attempt(run).shard_folder.mkdir(parents=True)
    seen = look_once(run.path, capsys)
    assert (seen["state"], seen["folder"]) == (STARTS, str(run.path / "resumed"))


def test_what_is_no_run_is_refused(tmp_path, capsys):
    assert cli.main(["watch", str(tmp_path)]) == 2
    assert cli.main(["watch", str(tmp_path), "--interval", "soon"]) == 2
    said = capsys.readouterr().err
    assert "must be the results folder of a run" in said and "--interval 'soon'" in said


def test_an_interval_without_a_unit_is_of_seconds(tmp_path, monkeypatch, capsys):
    (tmp_path / "run/shards").mkdir(parents=True)
    naps_s = []

    def sleep(duration_s: float) -> None:
        naps_s.append(duration_s)
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", sleep)
    assert cli.main(["watch", str(tmp_path / "run"), "--interval", "5", "--json"]) == 0
    assert naps_s == [5.0]


def test_a_terminal_shows_all_of_it(observed):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cosim.cli", "watch", str(observed[0])]
    environment = clean_environment(TERM="xterm", COLUMNS="120", LINES="40")
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = read_all(ours)
    os.close(ours)
    assert process.returncode == 0, shown
    for words in ("complete", f"{STEPS} of {STEPS}", "real-time factor", "vehicle", "left_motor", "by rank"):
        assert words in shown


def read_all(terminal: int) -> str:
    """Everything that is written to the other end until it is closed."""
    parts = []
    with suppress(OSError):  # Linux says so when nobody holds the other end any more
        while True:
            parts.append(os.read(terminal, 4096))
    return b"".join(parts).decode()
