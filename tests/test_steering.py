# SPDX-License-Identifier: GPL-2.0-or-later
"""Hands on a running experiment: what was done to a run is done again, byte for byte; a reset is a new run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import cosim
from cosim.control.channel import Channel, ChannelError
from cosim.errors import ConfigurationError
from cosim.modes.recorded_run import RecordedRun
from cosim.record.owner import living_owner

# What starts runs is not for two tests at once: some look at the time.
pytestmark = pytest.mark.starts

STEPS = 30
PROCESSES = {"brain.virtual_processes": 4}
EDITED = '''
def drive(wheels, left_motor, right_motor):
    """The other way round, and slower."""
    wheels.left_rad_s = 0.5 * RAD_S_PER_MV * left_motor.voltage_mv
    wheels.right_rad_s = 0.5 * RAD_S_PER_MV * right_motor.voltage_mv
'''


def start(out: Path, ranks: int = 2, **more) -> cosim.client.live_run.LiveRun:
    return cosim.start("braitenberg", ranks=ranks, steps=STEPS, set=PROCESSES, out=out, **more)


def cosim_run(*arguments: object) -> subprocess.CompletedProcess:
    command = [find_mpiexec(), "-n", "3", sys.executable, "run.py", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, env=clean_environment(), capture_output=True, text=True, timeout=200)


def recorded(run: Path) -> dict[str, np.ndarray]:
    """All spikes and series of a run, but for what says how long something took."""
    found: dict[str, np.ndarray] = {}

    def add(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith(("profile/", "commands/")):
            found[name] = item[()]

    for name in ("run.h5", "spikes.h5"):
        with h5py.File(run / name, "r") as file:
            file.visititems(add)
    return found


def differences(one: Path, other: Path) -> list[str]:
    """Names of what is not the same, byte for byte, in two runs."""
    here, there = recorded(one), recorded(other)
    return [
        name
        for name in here.keys() | there.keys()
        if name not in here or name not in there or here[name].tobytes() != there[name].tobytes()
    ]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory) -> Path:
    """A run that nobody steered."""
    out = tmp_path_factory.mktemp("untouched") / "run"
    more = ["--set", "brain.virtual_processes=4", "--steps", STEPS, "--out", out]
    result = cosim_run("braitenberg", *more)
    assert result.returncode == 0, result.stderr
    return out


@pytest.fixture(scope="module")
def steered(tmp_path_factory) -> Path:
    """A run on two brain ranks, with hands on all of its parts."""
    out = tmp_path_factory.mktemp("steered") / "run"
    with start(out) as run:
        run.step(7)
        run.pace(None)
        run.ports["left_light"].rate_hz = 3000.0
        run.population("left_motor").set(V_th=-52.0)
        run.step(5)
        run.transfer["drive"].edit(EDITED)
        run.scale_weights("left_eye", "right_motor", 0.8)
        run.step()
        run.transfer["drive"].disable()
        run.step(3)
        run.reset("brain")
        run.transfer["drive"].enable()
        run.step(4)
        run.reset("body")
        run.ports["right_light"].hold(rate_hz=500.0)
        run.step(2)
        run.reset("transfer")
        run.step(2)
        run.finish()
    return out


def test_all_that_was_done_is_recorded_with_its_step(steered):
    run = cosim.load(steered)
    done = [(each.step, each.what["command"]) for each in run.commands if each.what["command"] != "step"]
    expected = [
        (7, "pace"),
        (7, "set_port"),
        (7, "set_population"),
        (12, "tf"),
        (12, "scale_weights"),
        (13, "tf"),
        (16, "reset"),
        (16, "tf"),
        (20, "reset"),
        (20, "set_port"),
        (22, "reset"),
        (24, "stop"),
    ]
    assert done == expected
    assert run.summary["steps"] == 24


def test_what_was_done_changed_the_run_from_its_step_on(steered, untouched):
    """Else the next tests would compare what nothing was done to."""
    one, other = cosim.load(steered), cosim.load(untouched)
    rows = slice(None, 24)
    for name in ("left_light", "right_light"):
        differ = np.flatnonzero(one.stimulus[name][rows] != other.stimulus[name][rows])
        assert differ.size
        assert differ[0] >= 7
    is_set = one.stimulus["left_light"] == 3000.0
    assert np.flatnonzero(is_set).tolist() == [7]
    assert np.flatnonzero(one.stimulus["right_light"] == 500.0).tolist() == [20, 21, 22, 23]
    spikes = [len(each.spikes["left_motor"].timestamps_ms) for each in (one, other)]
    assert spikes[0] != spikes[1]
    position_m = one.body["position_m"]
    steps = len(position_m) // 24
    assert np.linalg.norm(position_m[20 * steps] - position_m[0]) < 0.05, "the body began anew"


def test_a_steered_run_is_resumed_byte_for_byte(steered, tmp_path):
    """Commands act again; resuming itself compares bit for bit, and the commands are those that were."""
    copy = shutil.copytree(steered, tmp_path / "run")
    result = cosim_run("--resume", copy, "--steps", STEPS - 2)
    assert result.returncode == 0, result.stderr
    resumed, before = cosim.load(copy), cosim.load(steered)
    assert resumed.summary["steps"] == STEPS - 2
    assert [each.what for each in resumed.commands] == [each.what for each in before.commands]
    assert [each.wall_time for each in resumed.commands] == [each.wall_time for each in before.commands]
    earlier = recorded(steered)
    for name, values in recorded(copy).items():
        if name.startswith(("body/", "exchange/")):
            assert values[: len(earlier[name])].tobytes() == earlier[name].tobytes(), name


def test_a_recorded_command_that_cannot_be_obeyed_again_is_refused_before_the_run(steered, tmp_path):
    """It may come from another cosim."""
    copy = shutil.copytree(steered, tmp_path / "run")
    with h5py.File(copy / "run.h5", "r+") as file:
        file["commands/what"][0] = json.dumps({"command": "step", "leaps": 3})
    with pytest.raises(ConfigurationError, match=r"command after 0 steps: step.leaps: .* cannot be obeyed again$"):
        RecordedRun.open(copy)


def test_a_steered_brain_is_replayed_byte_for_byte(steered, tmp_path):
    result = cosim_run("--replay", steered, "--out", tmp_path / "replayed")
    assert result.returncode == 0, result.stderr
    summary = json.loads((tmp_path / "replayed/summary.json").read_text())
    assert summary["replay"]["identical"], summary["replay"]


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_after_a_reset_of_all_it_is_a_new_run(ranks, untouched, tmp_path):
    with start(tmp_path / "run", ranks=ranks) as run:
        run.step(3)
        run.population("left_motor").set(V_th=-53.0)
        run.transfer["drive"].edit(EDITED)
        run.step(2)
        run.reset()
        run.step(10)
        run.reset()
        run.step(STEPS)
        folder = run.folder
        run.finish()
    assert folder == tmp_path / "run_3"
    assert differences(folder, untouched) == []
    assert cosim.load(tmp_path / "run").summary["steps"] == 5
    assert cosim.load(tmp_path / "run_2").summary["steps"] == 10


@pytest.fixture(scope="module")
def paused(tmp_path_factory) -> cosim.client.live_run.LiveRun:
    """A run that stands after its fifth step; tests leave it there."""
    with start(tmp_path_factory.mktemp("paused") / "run") as run:
        run.step(5)
        yield run


WORD = st.one_of(st.text(max_size=5), st.sampled_from(["left_motor", "left_light", "rate_hz", "drive", "husky"]))
NUMBER = st.one_of(st.floats(), st.integers(), st.text(max_size=3), st.none(), st.booleans())
# What each command may be told wrongly: none of these can be done.
WRONG = {
    "": {},
    "explode": {"now": NUMBER},
    "step": {"steps": st.one_of(st.integers(max_value=0), st.text(max_size=3), st.floats(max_value=0.5))},
    "run_until": {"t_ms": st.one_of(st.floats(max_value=100.0), st.floats(min_value=1e6), st.text(max_size=3))},
    "pace": {"factor": st.one_of(st.floats(max_value=0.0), st.text(max_size=3))},
    "mark": {"text": st.one_of(st.none(), st.integers(), st.lists(st.text(max_size=2), max_size=2))},
    "set_port": {
        "port": st.one_of(WORD.filter(lambda each: each != "left_light"), st.none()),
        "attribute": WORD,
        "value": NUMBER,
    },
    "set_protocol": {"key": WORD, "value": NUMBER},
    "set_population": {
        "population": WORD,
        "parameters": st.dictionaries(
            st.sampled_from(["V_th", "tau", "", "model"]),
            st.one_of(st.just(-1e9), st.just(-70.0), st.text(max_size=2), st.just(float("nan"))),
            max_size=2,
        ),
    },
    "scale_weights": {"source": WORD, "target": st.just("left_eye"), "factor": NUMBER},
    "tf": {
        "action": st.sampled_from(["add", "edit", "remove", "shake"]),
        "name": st.one_of(st.none(), st.text(max_size=5)),
        "text": st.sampled_from(["", "def", "import os", "def f(nothing_such): pass", "x = 1", "def f(): 1 / 0"]),
    },
    "push": {"part": st.text(max_size=5), "force_n": st.lists(NUMBER, max_size=4), "duration_ms": NUMBER},
    "place": {"part": st.text(max_size=5), "position_m": st.lists(st.floats(), max_size=4)},
    "hold": {"part": st.text(max_size=5), "position_m": st.lists(st.floats(), max_size=4)},
    "reset": {"what": st.one_of(st.sampled_from(["every", "thing"]), NUMBER)},
}
COMMAND = st.sampled_from([*WRONG]).flatmap(
    lambda name: st.fixed_dictionaries({"command": st.just(name)}, optional=WRONG[name]).filter(
        lambda command: len(command) > 1 or name in ("", "explode", "mark", "tf", "push", "place", "hold")
    )
)


def can_be_done(command: dict) -> bool:
    """Some that were made are right by chance; what they do changes the run, so they are not sent."""
    rest = {key: value for key, value in command.items() if key != "command"}
    if command["command"] == "set_population":
        return rest.get("population") in ("left_motor",) and rest.get("parameters") == {"V_th": -70.0}
    return False


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command=COMMAND)
def test_a_wrong_command_is_answered_and_changes_nothing(command, paused):
    assume(not can_be_done(command))
    with Channel(paused.folder) as channel:
        try:
            answer = channel.send(command)
        except ValueError as error:  # what cannot be written as JSON does not even go out
            answer = {"ok": False, "error": str(error), "step": 5}
    assert answer["ok"] is False, (command, answer)
    assert answer["error"] and "\n" not in answer["error"]
    assert answer["step"] == 5


def test_a_run_to_which_nothing_but_wrong_commands_came_is_as_if_untouched(paused, untouched):
    paused.step(STEPS)
    paused.finish()
    assert differences(paused.folder, untouched) == []
    assert {each.what["command"] for each in paused.results.commands} <= {"step", "stop"}


def test_a_pause_leaves_results_complete_and_the_run_alive_and_it_goes_on_at_once(tmp_path):
    """``COSIM_FULL=1`` waits ten minutes; ranks nap no longer after a long wait than after a short one."""
    with start(tmp_path / "run") as run:
        run.step(6)
        time.sleep(600 if os.environ.get("COSIM_FULL") else 5)
        assert living_owner(run.results.folder)
        with h5py.File(run.folder / "run.h5", "r", swmr=True) as file:
            assert len(file["exchange/time_ms"]) == 6
        assert all(rows.shape == (3, 6) for rows in run.results.profile.values())
        began = time.monotonic()
        run.step()
        assert time.monotonic() - began < 0.1 + 2 * 0.05, "its step, and two looks of who sends files"


def test_a_run_that_stands_still_looks_for_commands_often_however_long_nobody_came(tmp_path, monkeypatch):
    """As after ten minutes, when a run that goes on would look once a second: that time is none here."""
    monkeypatch.setenv("PYTHONPATH", str(impatient(tmp_path)), prepend=os.pathsep)
    with start(tmp_path / "run") as run:
        run.step(3)
        waits_s = []
        for _ in range(5):
            time.sleep(0.6)
            began = time.monotonic()
            run.step()
            waits_s.append(time.monotonic() - began)
        run.finish()
    assert sorted(waits_s)[2] < 0.3, waits_s


def impatient(folder: Path) -> Path:
    """What Python loads first in runs: their listener counts as idle at once."""
    (folder / "sitecustomize.py").write_text("import cosim.control.files as files\nfiles.IDLE_AFTER_S = 0.3\n")
    return folder


def test_a_client_that_is_killed_changes_nothing(untouched, tmp_path):
    """It is killed while it waits for an answer."""
    program = f"import cosim; run = cosim.attach({str(tmp_path / 'run')!r}); run.pace(0.5); run.step(20)"
    with start(tmp_path / "run") as run:
        client = subprocess.Popen([sys.executable, "-c", program], env=clean_environment(), cwd=REPOSITORY)
        while run.steps_done < 3:
            time.sleep(0.05)
        client.kill()
        client.wait()
        run.pace(None)
        run.step(STEPS)
        run.finish()
    assert differences(tmp_path / "run", untouched) == []


@pytest.mark.parametrize("rank", [0, 2])
def test_a_rank_that_is_killed_in_a_pause_ends_the_job(rank, tmp_path):
    run = start(tmp_path / "run")
    run.step(4)
    os.kill(pid_of(rank, tmp_path / "run"), signal.SIGKILL)
    with pytest.raises(cosim.RunError):
        run.step()
    ended = time.monotonic() + 20
    while living_owner(run.results.folder) and time.monotonic() < ended:
        time.sleep(0.1)
    assert not living_owner(run.results.folder)
    with pytest.raises(cosim.RunError, match="the run failed, with exit code"):
        run.finish()
    recover = subprocess.run(
        [sys.executable, "-m", "cosim", "recover", str(tmp_path / "run")], env=clean_environment(), cwd=REPOSITORY
    )
    assert recover.returncode == 0
    assert cosim.load(tmp_path / "run").summary["steps"] == 4


def pid_of(rank: int, out: Path) -> int:
    """The process of a rank of the run in ``out``."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        is_rank = b"PMI_RANK=%d" % rank in variables
        if is_rank and str(out).encode() in words:
            return int(process.name)
    raise LookupError(rank)


def test_a_run_that_is_paced_takes_as_long_as_it_should(tmp_path):
    with start(tmp_path / "run") as run:
        run.pace(2.0)
        began = time.monotonic()
        run.step(20)
        took_s = time.monotonic() - began
        model_s = 20 * run.step_ms / 1000
        assert model_s / 2 - 0.05 < took_s < model_s / 2 + 1.0


def memory_mb(out: Path) -> dict[int, float]:
    """What each rank of the run in ``out`` has in use."""
    page_mb = os.sysconf("SC_PAGE_SIZE") / 2**20
    pids = {rank: pid_of(rank, out) for rank in (0, 1, 2)}
    return {rank: int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page_mb for rank, pid in pids.items()}


def test_memory_is_flat_over_resets(tmp_path):
    """Twenty of them with ``COSIM_FULL=1``; the first ones fill caches."""
    resets = 22 if os.environ.get("COSIM_FULL") else 7
    with start(tmp_path / "run") as run:
        used_mb = []
        for _ in range(resets):
            run.step(2)
            used_mb.append(memory_mb(tmp_path / "run"))
            run.reset()
        run.finish()
    grown_mb = {rank: used_mb[-1][rank] - used_mb[2][rank] for rank in (0, 1, 2)}
    assert max(grown_mb.values()) < 1.0 * (resets - 3), used_mb


def test_a_refused_reset_of_the_brain_leaves_what_was_set_before(tmp_path):
    """A script that has changed would give another brain under the same record."""
    experiment = shutil.copytree(REPOSITORY / "models/braitenberg", tmp_path / "braitenberg")
    with cosim.start(experiment, ranks=2, steps=STEPS, set=PROCESSES, out=tmp_path / "run") as run:
        run.step(2)
        run.population("right_motor").set(V_th=-60.0)
        with (experiment / "brain.py").open("a") as script:
            script.write("# another one\n")
        with pytest.raises(ValueError, match="has changed since the run began"):
            run.reset("brain")
        run.step(10)
        run.finish()
    with cosim.start("braitenberg", ranks=2, steps=STEPS, set=PROCESSES, out=tmp_path / "other") as run:
        run.step(2)
        run.population("right_motor").set(V_th=-60.0)
        run.step(10)
        run.finish()
    assert differences(tmp_path / "run", tmp_path / "other") == []


def test_a_run_that_goes_along_a_recorded_one_takes_no_changes(untouched, tmp_path):
    copy = shutil.copytree(untouched, tmp_path / "run")
    more = ["--steps", str(STEPS + 5), "--paused"]
    command = [find_mpiexec(), "-n", "3", sys.executable, "run.py", "--resume", str(copy), *more]
    with subprocess.Popen(command, cwd=REPOSITORY, env=clean_environment(), stderr=subprocess.PIPE, text=True) as run:
        channel = open_when_there(copy / "resumed")
        refused = channel.send({"command": "set_port", "port": "left_light", "attribute": "rate_hz", "value": 1.0})
        assert not refused["ok"] and f"must wait until step {STEPS}" in refused["error"]
        assert channel.send({"command": "step", "steps": STEPS}, timeout_s=60.0)["step"] == STEPS
        taken = channel.send({"command": "set_port", "port": "left_light", "attribute": "rate_hz", "value": 1.0})
        assert taken["ok"]
        channel.send({"command": "go"})
        assert run.wait(60) == 0
    assert cosim.load(copy).stimulus["left_light"][STEPS] == 1.0


def open_when_there(run: Path) -> Channel:
    """The channel to a run that is being built, when it stands."""
    last = time.monotonic() + 60
    while True:
        try:
            channel = Channel(run)
            if channel.send({"command": "status"})["ok"]:
                return channel
        except ChannelError:
            if time.monotonic() > last:
                raise
        time.sleep(0.2)


def test_a_slow_pace_does_not_keep_commands_waiting(tmp_path):
    with start(tmp_path / "run") as run:
        run.pace(0.001)
        run.go()
        began = time.monotonic()
        run.pause()
        assert time.monotonic() - began < 5.0, "a step takes 20 s at this pace"
        run.pace(None)
