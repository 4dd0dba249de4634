# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing is lost: whatever kills a run, the job ends, its files open, and whole steps become results."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import PROGRAMS, REPOSITORY, clean_environment, find_mpiexec
from killed_run import make_experiment, make_run

from cosim.modes import recover as recovery
from cosim.program import rescue
from cosim.record import disk, failure, owner
from cosim.record.folder import RunFolder, make_folder
from cosim.results.run_data import RunData

RANKS, STEPS, SUBSTEPS, STEP_MS = 3, 300, 5, 20.0
SMALL = ("braitenberg", "--set", "brain.virtual_processes=2", "--steps", STEPS)
END_S = 10.0
# Every rank at every part of a run, at moments that are drawn once and for all; the first ones are for every day.
PARTS = ("loop", "merge", "build")
KILLS = 30 if os.environ.get("COSIM_FULL") else 4

pytestmark = pytest.mark.timeout(240)


def kills() -> Iterator[tuple[str, int, int, float]]:
    """Part of the run, rank, step and delay in s."""
    draw = random.Random(20221207)
    longest_s = {"loop": 0.02, "merge": 1.0, "build": 0.5}
    for number in range(KILLS):
        part = PARTS[number // RANKS % len(PARTS)] if KILLS == 30 else PARTS[number % len(PARTS)]
        yield part, number % RANKS, draw.randrange(3, STEPS), round(draw.uniform(0, longest_s[part]), 3)


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> RunData:
    """The run that nobody interrupts."""
    folder = tmp_path_factory.mktemp("reference")
    command = [find_mpiexec(), "-n", RANKS, sys.executable, REPOSITORY / "run.py", *SMALL, "--out", folder / "run"]
    subprocess.run(list(map(str, command)), env=clean_environment(), cwd=folder, check=True, capture_output=True)
    return RunData(folder / "run")


@pytest.fixture
def impatient(monkeypatch) -> pytest.MonkeyPatch:
    """Who refuses a run that goes on does not wait first for its end; ``undo()`` lets it wait again."""
    monkeypatch.setattr(recovery, "CLEAN_UP_S", 0.0)
    return monkeypatch


@pytest.mark.parametrize(("part", "rank", "step", "delay_s"), list(kills()))
def test_a_rank_that_is_killed_costs_no_whole_step(
    launch, recover, reference, tmp_path, capsys, part, rank, step, delay_s
):
    killed = tmp_path / "killed"
    fault = (part, rank, step, delay_s, killed)
    result = launch(RANKS, PROGRAMS / "kill_a_rank.py", *fault, *SMALL, "--out", tmp_path / "run")
    run = RunData(tmp_path / "run")
    if result.returncode == 0:  # on a fast machine results may be there before the kill
        assert part != "loop"
        assert_same_up_to(reference, run, STEPS)
        return
    assert time.time() - float(killed.read_text()) < END_S
    assert_all_open(run.folder)
    steps = steps_on_disk(run.folder)
    assert recover(run.folder.path) == 0
    if steps is None:
        assert "nothing to recover" in capsys.readouterr().out
        assert part != "loop"
        return
    if part == "loop":
        assert steps >= step - 1, "every step was written when it was done"
        assert f"complete up to step {steps} of {STEPS}" in capsys.readouterr().out
    assert_same_up_to(reference, run, steps)


def assert_all_open(folder: RunFolder) -> None:
    for path in folder.path.rglob("*.h5"):
        if path.parent.name != "unfinished":
            with h5py.File(path, "r", swmr=path.name == "run.h5" or path.parent.name == "shards") as file:
                assert file.id.valid


def steps_on_disk(folder: RunFolder) -> int | None:
    """The steps that all ranks have written; None if none was begun, or if the results are there already."""
    if not (folder.shard_folder / "built.json").exists():
        return None
    steps = []
    for path in folder.shards(RANKS):
        with h5py.File(path, "r", swmr=True) as file:
            steps += [len(file["profile"])] + ([len(file["spikes/done"])] if "spikes" in file else [])
    with h5py.File(folder.run_file, "r", swmr=True) as file:
        steps += [len(file["exchange/time_ms"]), len(file["body/time_ms"]) // SUBSTEPS]
    return min(steps)


def assert_same_up_to(reference: RunData, run: RunData, steps: int) -> None:
    """The results are those of the first ``steps`` steps of the reference, and say so."""
    summary = json.loads(run.folder.summary_file.read_text())
    assert (summary["steps"], summary["complete"]) == (steps, steps == STEPS)
    assert bool(summary["stopped_by"]) == (steps < STEPS)
    for name, rows in reference.body.items():
        np.testing.assert_array_equal(run.body[name], rows[: steps * SUBSTEPS], err_msg=name)
    for kind in ("readout", "stimulus"):
        for name, rows in getattr(reference, kind).items():
            np.testing.assert_array_equal(getattr(run, kind)[name], rows[:steps], err_msg=name)
    assert run.exchange_time_ms.shape == (steps,)
    assert {rows.shape for rows in run.profile.values()} == {(RANKS, steps)}
    assert set(run.spikes) == set(reference.spikes)
    for name, spikes in reference.spikes.items():
        before = spikes.timestamps_ms <= steps * STEP_MS + 1e-6
        np.testing.assert_array_equal(run.spikes[name].timestamps_ms, spikes.timestamps_ms[before], err_msg=name)
        np.testing.assert_array_equal(run.spikes[name].node_ids, spikes.node_ids[before], err_msg=name)
    files = {path.name for path in reference.folder.path.iterdir()}
    assert {path.name for path in run.folder.path.iterdir()} == (files if steps else files - {"figure.png", "body.png"})


def test_a_launcher_that_is_killed_takes_its_ranks_along(tmp_path, recover, impatient):
    """mpiexec starts ranks by a helper on each machine: without it nobody would end them."""
    command = [find_mpiexec(), "-n", "2", sys.executable, REPOSITORY / "run.py", "braitenberg", "--steps", 10**7]
    with subprocess.Popen(
        [*map(str, command), "--out", str(tmp_path / "run")], env=clean_environment(), stderr=subprocess.PIPE, text=True
    ) as launcher:
        for line in launcher.stderr:
            if "step" in line and "of 10000000" in line:
                break
        told = json.loads((tmp_path / "run/shards/owner.json").read_text())
        assert recover(tmp_path / "run") == 2, "it goes on"
        impatient.undo()
        helper = int(Path(f"/proc/{told['pid']}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(helper, signal.SIGKILL)
        killed = time.monotonic()
        launcher.stderr.read()
    assert launcher.returncode != 0
    while owner.living_owner(RunFolder(tmp_path / "run")):
        assert time.monotonic() - killed < END_S
        time.sleep(0.05)
    assert recover(tmp_path / "run", "--out", tmp_path / "elsewhere") == 0
    assert json.loads((tmp_path / "elsewhere/summary.json").read_text())["steps"] > 0
    assert (tmp_path / "run/shards").is_dir(), "the run stays as it was"


HOLDER = """
import sys, time
from pathlib import Path
from cosim.record.folder import RunFolder
from cosim.record.owner import claim
claim(RunFolder(Path(sys.argv[1])))
print("held", flush=True)
time.sleep(600)
"""


def test_who_writes_a_run_is_known_for_as_long_as_it_lives(tmp_path, recover, impatient, capsys):
    folder = make_folder("e", str(tmp_path / "run"), tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder.path)], stdout=subprocess.PIPE, text=True, env=clean_environment()
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        assert owner.living_owner(folder).startswith(f"process {holder.pid} on ")
        assert recover(folder.path) == 2
        assert "it must end first" in capsys.readouterr().err
        assert recover(folder.path, "--force") == 2
        holder.kill()
    assert owner.living_owner(folder) == ""
    assert recover(folder.path) == 0
    assert "before its first step: there is nothing to recover" in capsys.readouterr().out


@pytest.mark.parametrize(("age_s", "alive"), [(5, True), (300, False)])
def test_on_another_machine_whose_locks_are_not_seen_it_is_known_by_its_age(tmp_path, recover, impatient, age_s, alive):
    folder = make_folder("e", str(tmp_path / "run"), tmp_path)
    folder.owner_file.write_text(json.dumps({"host": "far-away", "pid": 1, "locked": True}))
    then = time.time() - age_s
    for path in (folder.shard_folder, folder.owner_file):
        os.utime(path, (then, then))
    assert bool(owner.living_owner(folder)) == alive
    assert recover(folder.path) == (2 if alive else 0)
    assert recover(folder.path, "--force") == 0


def test_what_is_no_run_is_refused(tmp_path, recover, capsys):
    assert recover(tmp_path) == 2
    assert "neither results nor shards: must be the results folder of a run" in capsys.readouterr().err


def test_a_figure_is_announced_if_it_is_there(tmp_path, recover, monkeypatch):
    monkeypatch.delenv("COSIM_FIGURES")
    experiment = make_experiment(tmp_path / "experiment")
    whole, failed = (make_run(tmp_path / name, experiment) for name in ("whole", "failed"))
    assert recover(whole.path) == 0
    assert whole.log_file.read_text().count(f"figure: {whole.path / 'figure.png'}") == 1
    monkeypatch.setattr("cosim.show.figure.draw_run", lambda data, path: 1 / 0)
    assert recover(failed.path) == 1
    said = failed.log_file.read_text()
    assert "figures: Traceback" in said and "ZeroDivisionError" in said
    assert "no figure: drawing it failed" in said and "figure.png" not in said
    assert RunData(failed.path).summary["mine"] == 1, "what comes after is done"


def test_figures_are_left_out_where_the_environment_says_so(tmp_path, recover, monkeypatch):
    monkeypatch.setenv("COSIM_FIGURES", "no")
    run = make_run(tmp_path / "run", make_experiment(tmp_path / "experiment"))
    assert recover(run.path) == 0
    assert "figure:" not in run.log_file.read_text() and "no figure" not in run.log_file.read_text()
    assert not list(run.path.glob("*.png"))


@pytest.mark.parametrize(
    ("bad", "said"), [("return None", "ValueError: .*must be a cosim.network.Network"), ("return 1 / 0", "ZeroDiv")]
)
def test_a_network_that_fails_today_costs_the_positions_only(tmp_path, recover, monkeypatch, caplog, bad, said):
    monkeypatch.setattr("cosim.finalize.draw", lambda run: None)
    experiment = make_experiment(tmp_path / "experiment")
    killed = make_run(tmp_path / "run", experiment)
    (experiment / "brain/network.py").write_text(f"def network():\n    {bad}\n")
    with caplog.at_level("WARNING", "cosim"):
        assert recover(killed.path) == 0
    assert re.search(f"without positions of neurons: {experiment}/brain/network.py: {said}", caplog.text)
    assert RunData(killed.path).summary["mine"] == 1


def test_a_finished_run_is_left_alone(reference, recover, capsys):
    before = reference.folder.summary_file.stat().st_mtime_ns
    assert recover(reference.folder.path) == 0
    assert "nothing to recover" in capsys.readouterr().out
    assert reference.folder.summary_file.stat().st_mtime_ns == before


# A disk that is full


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 8 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_ends_the_run_with_path_and_space_and_costs_no_whole_step(
    launch, recover, small_disk, tmp_path, capsys
):
    run = small_disk / "run"
    result = launch(2, REPOSITORY / "run.py", "braitenberg", "--steps", 10**7, "--out", run)
    assert result.returncode != 0
    assert f"{run}/" in result.stderr
    assert "cannot be written: No space left on device; 0.0 MB are free" in result.stderr
    assert f"cosim recover {run}" in result.stderr
    assert "Traceback" not in result.stderr and "Exception ignored" not in result.stderr
    steps = steps_of(run)
    assert recover(run) == 1
    assert "MB are needed: make space, or let the results go elsewhere" in capsys.readouterr().err
    assert recover(run, "--out", tmp_path / "results") == 0
    data = RunData(tmp_path / "results")
    assert data.summary["steps"] == steps > 100
    assert "No space left on device" in data.summary["stopped_by"]
    assert all(np.isfinite(rows).all() and len(rows) == steps * SUBSTEPS for rows in data.body.values())
    assert np.all(np.diff(data.body["time_ms"]) > 0)
    assert_rows_are_whole(run)
    assert (
        (steps - 50) * STEP_MS
        < max(each.timestamps_ms.max(initial=0) for each in data.spikes.values())
        <= steps * STEP_MS
    )


def steps_of(run: Path) -> int:
    """The steps in the shards and in run.h5 of two ranks."""
    names = ("shards/rank-00001.h5", "shards/rank-00000.h5", "run.h5")
    brain, shard, body = (h5py.File(run / name, "r", swmr=True) for name in names)
    with brain, shard, body:
        rows = [brain["profile"], brain["spikes/done"], shard["profile"], body["exchange/time_ms"]]
        return min(*map(len, rows), len(body["body/time_ms"]) // SUBSTEPS)


def assert_rows_are_whole(run: Path) -> None:
    """No dataset is longer than the rows that found space: what is not there would be read as 0."""
    with h5py.File(run / "shards/rank-00001.h5", "r", swmr=True) as brain:
        assert brain["spikes/node_ids"][:].min() > 0
        assert brain["spikes/timestamps"][:].min() > 0
        assert np.all(np.diff(brain["spikes/done"][:]) >= 0)
        assert brain["profile"][:].sum(axis=1).min() > 0
    with h5py.File(run / "run.h5", "r", swmr=True) as body:
        assert body["exchange/time_ms"][:].min() > 0


WRITER = """
import resource, sys
from pathlib import Path
import numpy as np
from cosim.errors import RecordingError
from cosim.record.series import Series, SeriesFile
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in range(250_000, 500_000, 7919):
    resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
    path = Path(sys.argv[1]) / f"{limit}.h5"
    file = SeriesFile(path, {f"x{n}": Series() for n in range(20)})
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited))
    rows = 0
    try:
        while True:
            for n in range(20):
                file.append(f"x{n}", np.arange(rows, rows + 50.0))
            file.flush()
            rows += 50
    except RecordingError as error:
        assert str(error).startswith(f"{path}: cannot be written: File too large; "), error
        print(rows, path)
    file.close()
"""


def test_rows_that_found_space_stay_and_others_are_not_there(tmp_path):
    """Files that may only grow so far stand for disks; where a write fails is another place in each of them."""
    result = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path)], capture_output=True, text=True, env=clean_environment()
    )
    assert (result.returncode, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert len(lines) == 32
    for rows, path in lines:
        with h5py.File(path, "r", swmr=True) as file:
            for values in file.values():
                assert len(values) >= int(rows)
                np.testing.assert_array_equal(values[:], np.arange(len(values)))


def test_a_file_that_could_not_be_written_whole_leaves_the_one_before(tmp_path):
    file = tmp_path / "a.json"
    disk.write_text(file, "old")
    with pytest.raises(ZeroDivisionError), disk.whole(file) as unfinished:
        unfinished.write_text("half")
        1 / 0
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_several_files_come_together_or_not_at_all(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(ZeroDivisionError), disk.several(tmp_path) as folder:
        (folder / "a").write_text("new")
        1 / 0
    assert (tmp_path / "a").read_text() == "old"
    with disk.several(tmp_path) as folder:
        for name in ("a", "b"):
            (folder / name).write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new", "b": "new"}


def test_space_that_is_not_there_is_told_before(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    disk.check_space(tmp_path, free // 2, "make space")
    with pytest.raises(disk.RecordingError, match="MB are free there, but about .* MB are needed: make space"):
        disk.check_space(tmp_path, 2 * free, "make space")


def test_why_a_rank_failed_is_there_also_if_it_cannot_write_what_it_has(tmp_path):
    class Stuck:
        """A recorder of which the last write fails."""

        def close(self) -> None:
            raise KeyError("no spikes of this step")

    folder = make_folder("e", str(tmp_path / "run"), tmp_path)
    failure.reserve(folder.failure_file(1))
    with pytest.raises(KeyError, match="no spikes"):
        rescue(folder, 1, Stuck(), ValueError("the network is gone"))
    assert failure.told(folder.failure_file(1)) == "rank 1: the network is gone"


def test_why_a_rank_failed_fits_into_its_reserved_space(tmp_path):
    file = tmp_path / "rank-00001.failure"
    failure.reserve(file)
    size = file.stat().st_size
    assert failure.told(file) == ""
    failure.tell(file, "rank 1: the disk is full " + "x" * 10**5)
    assert file.stat().st_size == size
    assert failure.told(file).startswith("rank 1: the disk is full x")
