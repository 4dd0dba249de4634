# SPDX-License-Identifier: GPL-2.0-or-later
"""Going on with a run, and running its brain again: byte for byte what an uninterrupted run gives."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import PROGRAMS, REPOSITORY, clean_environment, find_mpiexec

from cosim.errors import ConfigurationError
from cosim.experiment.options import parse
from cosim.modes.choice import choose
from cosim.modes.recorded_run import RecordedRun
from cosim.record import attempts
from cosim.record.folder import RunFolder
from cosim.results.run_data import RunData

EXIT_FAILED, EXIT_CONFIGURATION, EXIT_STOPPED = 1, 2, 3
BREAK = PROGRAMS / "break_a_rank.py"
STEPS, STOPPED_AFTER = 12, 5

pytestmark = pytest.mark.timeout(200)

EXPERIMENT = """
seed = 5
[clock]
coupling_step_ms = 5.0
steps = 12
[brain]
script = "brain.py"
virtual_processes = 2
[body]
model = "forelimb"
[transfer]
on_error = "disable"
[[sinks]]
populations = "excitatory"
weight_pa = 100.0
delay_ms = 1.0
[[sources]]
name = "drive"
population = "excitatory"
weight = 50.0
delay_ms = 1.0
"""

BRAIN = """
import nest
excitatory = nest.Create("iaf_psc_alpha", 80, params={"I_e": 370.0})
apart = nest.Create("iaf_psc_alpha", 10, params={"I_e": 400.0})
noise = nest.Create("poisson_generator", params={"rate": 8000.0})
nest.Connect(noise, excitatory + apart, syn_spec={"weight": 20.0})
nest.Connect(excitatory, excitatory, {"rule": "fixed_indegree", "indegree": 8}, {"weight": 20.0, "delay":
1.5})
"""

# Closed over the body: what the brain gets follows the tip, and sums and random numbers that no file holds.
TRANSFER = """
from cosim import transfer_function, variable

total_mv = 0.0

@transfer_function
def actuate(excitatory, muscles):
    global total_mv
    total_mv += excitatory.voltage_mv
    muscles.excitation = min(1.0, total_mv / 100.0)

@transfer_function(every_ms=10, priority=1)
def sense(tip, drive, random, calls=variable(0)):
    calls.value += 1
    drive.rate_hz = 1000.0 + 1e5 * abs(float(tip.position_m[1])) + calls.value + random.random()
    return {"calls": calls.value, "drawn": random.random()}

@transfer_function
def fail(step, drive):
    drive.rate_hz += 1.0
    if step == 3:
        raise ValueError("no further")
"""

WITH_A_CLOCK = """
import os

@transfer_function
def wander(step, drive):
    if step >= 3:
        drive.rate_hz = 1000.0 + int.from_bytes(os.urandom(4))
"""


def call(command: Sequence[object]) -> subprocess.CompletedProcess:
    words = [str(word) for word in command]
    return subprocess.run(words, env=clean_environment(), capture_output=True, text=True, timeout=120)


def start(ranks: int, *command: object) -> subprocess.CompletedProcess:
    return call([find_mpiexec(), "-n", ranks, sys.executable, *command])


def run(ranks: int, *arguments: object) -> subprocess.CompletedProcess:
    return start(ranks, REPOSITORY / "run.py", *arguments)


def stop(ranks: int, after: int, *arguments: object) -> subprocess.CompletedProcess:
    """A run whose body rank gets a signal in the step before ``after`` steps are done."""
    return start(ranks, BREAK, "signal", 0, after - 1, *arguments)


def finished(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 0, result.stderr
    return result.stderr


def refused(result: subprocess.CompletedProcess, code: int = EXIT_CONFIGURATION) -> str:
    assert result.returncode == code, result.stderr
    return result.stderr


def make_experiment(folder: Path, transfer: str = TRANSFER) -> Path:
    folder.mkdir()
    for name, text in (("experiment.toml", EXPERIMENT), ("brain.py", BRAIN), ("transfer.py", transfer)):
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    return make_experiment(tmp_path_factory.mktemp("resume") / "loop")


@pytest.fixture(scope="module")
def whole(experiment) -> Path:
    """An uninterrupted run, in which a function fails."""
    told = finished(run(2, experiment, "--out", experiment.parent / "whole"))
    assert "step 3 (15 ms) fail: switched off: ValueError in line 22: no further" in told
    return experiment.parent / "whole"


@pytest.fixture(scope="module")
def stopped(experiment) -> Path:
    """The same, stopped by a signal; not to be changed."""
    refused(stop(2, STOPPED_AFTER, experiment, "--out", experiment.parent / "stopped"), EXIT_STOPPED)
    return experiment.parent / "stopped"


def content(folder: Path) -> dict[str, bytes]:
    """Every dataset that does not tell wall times."""
    found = {}
    for name, groups in (("spikes.h5", ["spikes"]), ("run.h5", ["body", "exchange", "transfer"])):
        with h5py.File(folder / name, "r") as file:
            for group in groups:
                file[group].visititems(
                    lambda key, item: (
                        found.__setitem__(item.name, item[:].tobytes()) if isinstance(item, h5py.Dataset) else None
                    )
                )
    return found


def assert_same(folder: Path, other: Path) -> None:
    one, two = content(folder), content(other)
    assert one.keys() == two.keys() and {"/body/time_ms", "/transfer/sense/drawn"} <= one.keys()
    assert [name for name in one if one[name] != two[name]] == []
    assert sum(RunData(folder).spike_counts.values()) > 100


def steps_of(folder: Path) -> int:
    return json.loads((folder / "summary.json").read_text())["steps"]


def test_a_stopped_run_goes_on_to_what_it_would_have_been(whole, stopped, tmp_path):
    """Stopped again before it is as far as it was, it keeps what it had; the split may be another one."""
    folder = shutil.copytree(stopped, tmp_path / "run")
    before = content(folder)
    assert "stays as it was, with 5 steps" in refused(stop(2, 3, "--resume", folder), EXIT_STOPPED)
    assert (content(folder), steps_of(folder)) == (before, STOPPED_AFTER)

    told = finished(run(3, "--resume", folder))
    assert "were the same in all 5 recorded steps" in told
    assert_same(folder, whole)
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["steps"], summary["complete"]) == (STEPS, True)
    assert summary["resumed_after_steps"] == STOPPED_AFTER
    assert content(folder / "earlier-1") == before
    assert not attempts.attempt(RunFolder(folder)).path.exists()


def test_random_numbers_of_a_function_are_those_of_the_seed_and_its_name(whole):
    """It is called before the first step and then in every second one, and draws twice."""
    drawn = np.random.default_rng([5, *b"sense"]).random(2 * (STEPS // 2 + 1))
    returned = RunData(whole).returned["sense.drawn"]
    np.testing.assert_array_equal(returned[1::2], drawn[3::2])
    assert np.isnan(returned[::2]).all()


def test_a_finished_run_can_be_made_longer(experiment, whole, tmp_path):
    folder = tmp_path / "run"
    finished(run(3, experiment, "--steps", 4, "--out", folder))
    assert "4 steps are done and 4 are wanted" in finished(run(2, "--resume", folder))
    finished(run(2, "--resume", folder, "--steps", STEPS))
    assert_same(folder, whole)


def test_a_run_that_was_killed_goes_on_also_if_that_is_killed_too(experiment, whole, tmp_path):
    """What the second one brought beyond the first is not lost."""
    folder = tmp_path / "run"
    assert start(3, BREAK, "kill", 2, 4, experiment, "--out", folder).returncode != 0
    assert start(3, BREAK, "kill", 0, 8, "--resume", folder).returncode != 0
    told = finished(run(2, "--resume", folder))
    assert f"{folder} are run again" in told
    assert_same(folder, whole)
    first, second = steps_of(folder / "earlier-1"), steps_of(folder / "earlier-2")
    assert 2 <= first <= 4 < 6 <= second <= 8


def test_stimuli_that_do_not_come_again_are_refused_at_their_step(stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    changed = make_experiment(tmp_path / "loop", TRANSFER + WITH_A_CLOCK)
    told = refused(run(2, changed, "--resume", folder), EXIT_FAILED)
    assert "transfer.py of the experiment has changed" in told
    assert "transfer functions after step 3" in told
    assert "exchange/stimulus/drive in step 3 was recorded as" in told
    assert "use a clock or unseeded random numbers cannot be resumed" in told
    assert content(folder) == content(stopped)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("370.0", "371.0"), r"exchange/readout/excitatory in step|spikes of excitatory are not those"),
        (("400.0", "420.0"), r"spikes of apart are not those that were recorded: neuron . at .* ms, and now neuron"),
        (('_alpha", 10', '_alpha", 9'), r"was \('apart', 81, 10, 10\) and is \('apart', 81, 9, 9\)"),
    ],
)
def test_another_brain_cannot_go_on(stopped, experiment, tmp_path, change, message):
    """The spikes of ``apart`` reach no sink."""
    folder = shutil.copytree(stopped, tmp_path / "run")
    changed = shutil.copytree(experiment, tmp_path / "changed")
    (changed / "brain.py").write_text(BRAIN.replace(*change))
    told = refused(run(3, changed, "--resume", folder), EXIT_FAILED)
    assert "brain.py of the experiment has changed" in told
    assert re.search(message, told), told
    assert content(folder) == content(stopped)


def test_what_cannot_go_on_is_refused_before_anything_starts(stopped, tmp_path):
    assert "must be the results folder of a run" in refused(run(2, "--resume", tmp_path))
    edited = shutil.copytree(stopped, tmp_path / "edited")
    text = (edited / "config.toml").read_text()
    (edited / "config.toml").write_text(text.replace("seed = 5", "seed = 6"))
    assert "config.toml: seed was changed since the run" in refused(run(2, "--resume", edited))
    assert not (edited / "resumed").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", "RUN", "--set", "seed=3"], "--set with --resume"),
        (["--resume", "RUN", "--replay", "RUN"], "give one of both"),
        (["--steps", "3"], "no experiment: name one"),
        (["--resume", "RUN", "--steps", "4"], "5 steps are done and 4 are wanted"),
        (["models/nowhere", "--resume", "RUN"], "'models/nowhere' has no experiment.toml"),
        (["--replay", "RUN", "--steps", "6"], "clock.steps = 6: only 5 are recorded"),
        (["--replay", "RUN", "--set", "clock.coupling_step_ms=10"], "coupling_step_ms = 10.0: must stay 5.0"),
        (["--replay", "RUN", "--set", "sources=[]"], "must stay drive"),
    ],
)
def test_what_is_asked_for_must_fit_the_run(stopped, arguments, message):
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        choose(parse([str(stopped) if each == "RUN" else each for each in arguments], quiet=True)).load()


def test_a_run_without_a_step_is_refused(experiment, tmp_path):
    refused(start(2, BREAK, "signal-build", 0, 0, experiment, "--out", tmp_path / "run"), EXIT_STOPPED)
    with pytest.raises(ConfigurationError, match="ended before its first step was done"):
        RecordedRun.open(tmp_path / "run")


def test_a_replay_gives_the_same_brain(stopped, tmp_path):
    """``cosim replay`` starts MPI itself."""
    command = [sys.executable, "-m", "cosim.cli", "replay", stopped, "--out", tmp_path / "replay"]
    told = finished(call(command))
    assert "the same spikes and readouts as in 5 steps" in told
    replay = json.loads((tmp_path / "replay/summary.json").read_text())["replay"]
    assert replay["identical"] and replay["steps"] == STOPPED_AFTER
    before, after = content(stopped), content_of_brain(tmp_path / "replay")
    assert all(before[name] == after[name] for name in after)


def test_a_replay_of_another_brain_says_where_it_differs(stopped, tmp_path):
    """Ranks that a launcher starts replay, too."""
    command = ["-m", "cosim.cli", "replay", stopped, "--out", tmp_path / "replay"]
    told = finished(start(3, *command, "--set", "sources.0.weight=60.0"))
    assert "changed: sources.0.weight=60.0" in told and "not the same spikes and readouts" in told
    replay = json.loads((tmp_path / "replay/summary.json").read_text())["replay"]
    assert not (replay["identical"] or replay["identical_spikes"] or replay["identical_readouts"])
    assert replay["first_difference"]["what"] in ("exchange/readout/excitatory", "spikes/excitatory")
    assert replay["first_difference"]["step"] < STOPPED_AFTER
    then_hz, now_hz = replay["mean_rate_hz"]["apart"]
    assert then_hz == now_hz > 0


def content_of_brain(folder: Path) -> dict[str, bytes]:
    """A replay has no body."""
    found = {}
    with h5py.File(folder / "run.h5") as file:
        assert "body" not in file
        for name in ("exchange/readout/excitatory", "exchange/stimulus/drive"):
            found[f"/{name}"] = file[name][:].tobytes()
    with h5py.File(folder / "spikes.h5") as file:
        for name in ("excitatory", "apart"):
            for column in ("timestamps", "node_ids"):
                found[f"/spikes/{name}/{column}"] = file["spikes"][name][column][:].tobytes()
    return found


@pytest.mark.parametrize("moves", range(9))
def test_a_change_of_places_that_is_cut_short_is_mended(tmp_path, monkeypatch, moves):
    """Killed after any number of moves: the run is the old or the new one, whole, and the old one is there."""
    run = RunFolder(tmp_path)
    old = {name: f"old {name}" for name in ("config.toml", "run.h5", "spikes.h5", "film.mp4")}
    new = {name: f"new {name}" for name in ("config.toml", "run.h5", "spikes.h5")}
    write(tmp_path, old)
    write(tmp_path / "resumed", new)
    rename, left = Path.rename, iter(range(moves))

    def move(path: Path, target: Path) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", move)
        try:
            attempts.take_place(run)
        except KeyboardInterrupt:
            pass
    attempts.mend(run)
    if moves < len(old):
        assert (read(tmp_path), read(tmp_path / "resumed")) == (old, new)
    else:
        assert (read(tmp_path), read(tmp_path / "earlier-1")) == (new, old)
        assert not (tmp_path / "resumed").exists()


def test_a_folder_that_only_looks_like_earlier_results_is_left_alone(tmp_path):
    run = RunFolder(tmp_path)
    write(tmp_path, {"run.h5": "old"})
    for name in ("earlier-backup", "earlier-2.bak", "earlier-2"):
        write(tmp_path / name, {"run.h5": name})
    attempts.mend(run)
    write(tmp_path / "resumed", {"run.h5": "new"})
    assert attempts.take_place(run) == tmp_path / "earlier-3", "what comes later has a higher number"
    attempts.mend(run)
    assert read(tmp_path) == {"run.h5": "new"} and read(tmp_path / "earlier-3") == {"run.h5": "old"}
    assert all(read(path) == {"run.h5": path.name} for path in tmp_path.glob("earlier-[b2]*"))


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
