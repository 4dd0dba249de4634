# SPDX-License-Identifier: GPL-2.0-or-later
"""A run that begins anew in the same processes, and one that is done again by --resume."""

from __future__ import annotations

import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import clean_environment

import cosim

pytestmark = pytest.mark.starts

SMALL = {"brain.virtual_processes": 1}


def bytes_of(folder, steps):
    """All that was exchanged, how the body moved, and the spikes, in so many steps."""
    with h5py.File(folder / "run.h5") as file:
        rows = []
        file["exchange"].visititems(
            lambda name, each: rows.append((name, each[:steps].tobytes())) if isinstance(each, h5py.Dataset) else None
        )
        rows.append(file["body/position_m"][: 5 * steps].tobytes())
    with h5py.File(folder / "spikes.h5") as file:
        for name, group in file["spikes"].items():
            times_ms = group["timestamps"][:]
            rows.append((name, times_ms[times_ms <= 20 * steps].tobytes(), group["node_ids"][:].tobytes()[:100]))
    return rows


@pytest.fixture(scope="module")
def steered(tmp_path_factory):
    """A run with a reset after 6 steps, of which the second half has a loop of one's own; the folders of both."""
    folder = tmp_path_factory.mktemp("reset") / "run"
    with cosim.start("braitenberg", ranks=1, set=SMALL, steps=12, out=folder) as run:
        run.step(6)
        run.reset(seed=5)
        assert (run.state, run.steps_done, run.earlier) == ("paused", 0, [folder])
        assert run.config["seed"] == 5 and run.folder != folder
        run.step(2)
        run.ports["left_light"].rate_hz = 77.0
        for step in run:
            step.ports["left_light"].rate_hz = 500.0 * step.number
            step.body.light.brightness = 0.5 + 0.01 * step.number
            if step.number == 5:
                break
        run.step(2)
        run.reset("body")
        run.step(1)
    return folder, run.folder


def test_after_a_full_reset_the_run_goes_on_in_a_new_folder_and_the_old_one_has_its_results(steered):
    before, after = map(cosim.load, steered)
    assert before.summary["steps"] == 6 and after.summary["steps"] == 9
    assert [each.what["command"] for each in before.commands][-1] == "reset"
    assert after.stimulus["left_light"][2:6].tolist() == [1000.0, 1500.0, 2000.0, 2500.0]
    start = after.body["position_m"][0]
    assert (
        np.abs(after.body["position_m"][8 * 5] - start).max()
        < 0.01
        < np.abs(after.body["position_m"][39] - start).max()
    )


def test_a_run_is_reset_by_any_program_and_all_others_go_along(tmp_path):
    """Each is told of the new folder by what the old one holds, whenever it asks, and whether it had to wait or not."""
    folder = tmp_path / "run"
    with cosim.start("braitenberg", ranks=1, set=SMALL, steps=9, out=folder) as run:
        run.step(2)
        with cosim.attach(folder) as other, cosim.attach(folder) as third:
            other.reset(seed=7)
            assert (other.folder, other.earlier, other.state) == (tmp_path / "run_2", [folder], "paused")
            other.step(3)
            assert (third.state, third.steps_done, third.folder) == ("paused", 3, other.folder)
            assert run.step(1) == 80.0
            other.reset()
            assert (run.folder, run.earlier) == (tmp_path / "run_2", [folder])
        results = run.finish()
    assert results.folder.path == run.folder == tmp_path / "run_3" and results.summary["steps"] == 0
    before = cosim.load(tmp_path / "run_2").summary
    assert before["steps"] == 4 and before["followed_by"] == "run_3" and "followed_by" not in results.summary


def test_what_a_loop_wrote_is_recorded_beside_what_acted(steered):
    with h5py.File(steered[1] / "run.h5") as file:
        assert file["drive/step"][:].tolist() == [2, 3, 4, 5] and file["drive/in_round"][:].tolist() == [1, 0, 0, 0]
        columns = [str(each) for each in file["drive/values"].attrs["columns"]]
        brightness = file["drive/values"][:, columns.index("light.brightness")]
    assert brightness.tolist() == [0.52, 0.53, 0.54, 0.55]


def test_a_run_with_commands_and_a_loop_goes_on_as_it_would_have(steered, tmp_path):
    """--resume does everything again; bytes are compared by it, and here."""
    copy = shutil.copytree(steered[1], tmp_path / "run")
    result = subprocess.run(
        [sys.executable, "-m", "cosim", "run", "--resume", str(copy), "--steps", "11"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    assert bytes_of(copy, 9) == bytes_of(steered[1], 9)
    with h5py.File(copy / "run.h5") as again, h5py.File(steered[1] / "run.h5") as first:
        assert again["drive/values"][:].tobytes() == first["drive/values"][:].tobytes()
