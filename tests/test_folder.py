# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a run: what it is called, and that nothing is ever written over."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from cosim.errors import ConfigurationError
from cosim.record.folder import make_folder, start_logging


@pytest.fixture(autouse=True)
def outside_of_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def test_a_folder_is_named_after_experiment_and_time(tmp_path):
    before = time.strftime("%Y-%m-%d_%H-%M-%S")
    folder = make_folder("mouse_m1", None, tmp_path)
    after = time.strftime("%Y-%m-%d_%H-%M-%S")
    assert folder.path.parent == tmp_path / "mouse_m1"
    assert before <= folder.path.name <= after


def test_under_slurm_it_is_named_after_the_job(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    assert make_folder("mouse_m1", None, tmp_path).path == tmp_path / "mouse_m1/4711"


def test_a_second_run_of_the_same_name_gets_a_number(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    names = [make_folder("mouse_m1", None, tmp_path).path.name for _ in range(3)]
    assert names == ["4711", "4711_2", "4711_3"]


def test_an_empty_folder_may_be_given(tmp_path):
    (tmp_path / "run").mkdir()
    assert make_folder("mouse_m1", str(tmp_path / "run"), tmp_path).path == tmp_path / "run"


def test_a_run_that_is_refused_takes_away_what_it_wrote_and_the_folder_if_it_made_it(tmp_path):
    for mine in ("noted/notes", "empty"):
        (tmp_path / mine).mkdir(parents=True)
    noted, empty, new, named = (
        make_folder("mouse_m1", out and str(tmp_path / out), tmp_path) for out in ("noted", "empty", "new", None)
    )
    for folder in (noted, empty, new, named):
        start_logging(folder)
        for file in (folder.config_file, folder.body_file, folder.run_file, folder.shard(0)):
            file.touch()
        folder.remove()
    assert [path.name for path in noted.path.iterdir()] == ["notes"]
    assert list(empty.path.iterdir()) == []
    assert not (new.path.exists() or named.path.exists())


def test_what_others_put_into_the_folder_of_a_run_stays(tmp_path):
    folder = make_folder("mouse_m1", str(tmp_path / "new"), tmp_path)
    (folder.path / "notes.txt").touch()
    folder.remove()
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path):
    (tmp_path / "run.h5").write_text("precious")
    with pytest.raises(ConfigurationError, match=f"--out {tmp_path}: already there and not empty"):
        make_folder("mouse_m1", str(tmp_path), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


def test_a_file_is_refused(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(ConfigurationError, match="already there"):
        make_folder("mouse_m1", str(tmp_path / "run"), tmp_path)


def test_a_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"results folder .*file/run: Not a directory"):
        make_folder("mouse_m1", str(tmp_path / "file/run"), tmp_path)


def test_a_name_that_the_file_system_refuses_is_named_with_the_reason(tmp_path):
    with pytest.raises(ConfigurationError, match="results folder .*: File name too long"):
        make_folder("mouse_m1", str(tmp_path / ("x" * 300)), tmp_path)


def test_an_out_folder_that_holds_only_empty_folders_may_be_given(tmp_path):
    """Such are left by a run that ended before it wrote anything."""
    for _ in range(2):
        assert make_folder("mouse_m1", str(tmp_path / "run"), tmp_path).path == tmp_path / "run"
    (tmp_path / "run/shards/rank-00001.h5").touch()
    with pytest.raises(ConfigurationError, match="already there and not empty"):
        make_folder("mouse_m1", str(tmp_path / "run"), tmp_path)


def test_runs_that_start_at_the_same_moment_get_different_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "2026-01-31_12-00-00")
    everyone_is_here = Barrier(8)

    def start(_: int) -> str:
        everyone_is_here.wait()
        return make_folder("mouse_m1", None, tmp_path).path.name

    with ThreadPoolExecutor(8) as pool:
        names = [name for _ in range(20) for name in pool.map(start, range(8))]
    others = [f"2026-01-31_12-00-00_{number}" for number in range(2, 161)]
    assert sorted(names) == sorted(["2026-01-31_12-00-00", *others])
