# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands come to a run and answers go back, whatever else lies in its folder; nobody else can steer it."""

from __future__ import annotations

import json
import math
import os
import shutil
import stat
import tempfile
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
from control_run import NOBODY, ToyRun, echo, in_child, kill_myself, last_words, toy_run, wait_until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosim.bench.channel import round_trips
from cosim.control import channel as channel_module
from cosim.control import files, inbox, private
from cosim.control.channel import Channel, ChannelError, NoAnswer
from cosim.control.files import control_folder, state_file
from cosim.control.inbox import Inbox, Letter
from cosim.control.listener import Listener, listen
from cosim.control.messages import decode_command, encode_answer, new_name, sender
from cosim.control.state import StateFile
from cosim.errors import ConfigurationError
from cosim.record.folder import RunFolder
from cosim.record.owner import claim

# What may lie in the folder of somebody's run, under the name of a command.
TEXTS = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=100).map(str.encode)
    if False
    else st.text(alphabet=st.characters(codec="utf-8"), max_size=100).map(str.encode),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["command", "who", "x"]), inner),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch):
    """Looks five times as often as a run does, and a run's end that waits less for clients that are not there."""
    monkeypatch.setattr(files, "LOOK_S", 0.01)
    monkeypatch.setattr(files, "FAREWELL_S", 0.2)


@pytest.fixture
def run(tmp_path):
    with toy_run(tmp_path / "run") as made:
        yield made


@pytest.fixture
def channel(run):
    with Channel(run.path) as made:
        yield made


def put(run: ToyRun, text: bytes, name: str | None = None) -> Path:
    """Write a file as a client does, without one."""
    path = run.control / (name or new_name())
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_bytes(text)
    unfinished.rename(path)
    return path


def answer_to(run: ToyRun, command: Path) -> dict:
    path = run.control / "answers" / command.name
    wait_until(path.exists)
    return json.loads(path.read_text())


def test_an_answer_comes_back_to_who_asked(run, channel):
    answer = channel.send({"command": "echo", "rates_hz": np.array([1.5, 2.0])})
    assert answer == {"ok": True, "echo": {"command": "echo", "rates_hz": [1.5, 2.0]}, "who": sender()}
    assert not channel.send({"command": "dance"})["ok"]
    assert os.listdir(run.control / "answers") == []
    assert str(os.getpid()) in sender() and "@" in sender()


def test_commands_are_taken_in_the_order_of_their_names(run, channel, monkeypatch):
    monkeypatch.setattr(files, "LOOK_S", 0.5)
    echo(channel, "the next look comes in half a second")
    names = [new_name() for _ in range(20)]
    for each in reversed(range(20)):
        put(run, json.dumps({"command": "echo", "value": each}).encode(), names[each])
    answer_to(run, run.control / names[-1])
    assert [each["value"] for each in run.taken[1:]] == [*range(20)]


def test_several_clients_each_get_their_own_answers(run, channel):
    with Channel(run.path) as other, ThreadPoolExecutor(8) as threads:
        got = list(threads.map(lambda each: echo((channel, other)[each % 2], each), range(40)))
    assert got == [*range(40)]


def test_what_lies_in_the_folder_does_not_disturb(run, channel, tmp_path):
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text('{"command": "echo", "value": "through a link"}')
    link, pipe, folder, full = (run.control / new_name() for _ in range(4))
    link.symlink_to(elsewhere)
    os.mkfifo(pipe)
    folder.mkdir()
    full.mkdir()
    (full / "file").touch()
    (run.control / f".{new_name()}").write_text('{"command": "echo"')
    (run.control / "echo.json").write_text('{"command": "echo"}')
    huge = put(run, b'{"command": "echo", "value": "' + bytes(10**6) + b'"}')
    assert echo(channel, "still there") == "still there"
    assert "larger than 1,000,000 bytes" in answer_to(run, huge)["error"]
    assert "symbolic links" in answer_to(run, link)["error"]
    assert "no regular file" in answer_to(run, pipe)["error"]
    assert [each["value"] for each in run.taken] == ["still there"]
    assert not (run.control / "answers" / full.name).exists(), "what stays is not answered at each look"
    assert full.is_dir() and elsewhere.exists() and (run.control / "echo.json").exists()


@needs_root
def test_files_of_somebody_else_are_not_taken(run, channel):
    name = new_name()
    unfinished = run.control / f".{name}"
    unfinished.write_text('{"command": "echo"}')
    os.chown(unfinished, NOBODY, NOBODY)
    unfinished.rename(run.control / name)
    assert "no regular file of yours" in answer_to(run, run.control / name)["error"]
    assert run.taken == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
def test_garbage_is_answered_in_one_line_and_nothing_else_happens(run, text):
    before = len(run.taken)
    answer = answer_to(run, put(run, text))
    if not answer["ok"]:
        assert "\n" not in answer["error"]
    try:
        command = decode_command(text)[0]
    except ValueError:
        assert "not a command" in answer["error"] and len(run.taken) == before
    else:
        assert run.taken[before:] == [command]


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 5000,
        b'{"command": "echo", "v": ' + b"[" * 60 + b"]" * 60 + b"}",
        b'{"command": "echo", "v": NaN}',
        b'{"command": "echo", "v": 1e999}',
        b'{"command": "echo", "v": 10000000000000000000}',
        b'{"command": "echo", "v": "\\ud800"}',
    ],
)
def test_what_json_has_no_form_for_is_no_command(run, text):
    assert "not a command" in answer_to(run, put(run, text))["error"]


def test_who_sent_a_command_is_told_in_one_line(run):
    answer = answer_to(run, put(run, json.dumps({"command": "echo", "who": "me\n\033[2J" + "x" * 999}).encode()))
    assert answer["who"] == ("me[2J" + "x" * 999)[:200]
    assert answer_to(run, put(run, b'{"command": "echo"}'))["who"] == sender().split("@")[0]


def test_what_cannot_be_taken_away_costs_no_descriptor(run, channel):
    (run.control / new_name()).mkdir()
    echo(channel, 1)
    before = len(os.listdir("/proc/self/fd"))
    time.sleep(0.3)
    assert len(os.listdir("/proc/self/fd")) <= before + 5


def test_no_more_of_a_file_is_read_than_a_command_may_have(tmp_path):
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 10**8)
    tracemalloc.start()
    with private.opened(tmp_path) as folder, pytest.raises(OSError, match="larger than 1,000 bytes"):
        private.read(folder, "huge", 1000)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_thousands_of_files_are_taken_and_answered_as_far_as_there_is_room(run, channel, monkeypatch):
    monkeypatch.setattr(inbox, "CAPACITY", 100)
    run.stop_answering()
    for _ in range(400):
        put(run, b'{"command": "echo"}')
    with pytest.raises(NoAnswer):
        channel.send({"command": "echo"}, timeout_s=0.01)
    last = put(run, b'{"command": "echo"}')
    assert "100 commands wait already" in answer_to(run, last)["error"]
    assert len(run.inbox._letters) == 100


def test_a_command_that_is_withdrawn_while_it_is_read_does_not_act(run, channel, monkeypatch):
    original = files._read_command

    def read_and_withdraw(folder: int, name: str):
        found = original(folder, name)
        os.unlink(name, dir_fd=folder)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(files, "_read_command", read_and_withdraw)
        withdrawn = put(run, b'{"command": "echo", "value": 1}')
        wait_until(lambda: not withdrawn.exists())
        time.sleep(0.05)
    assert echo(channel, 2) == 2
    assert [each["value"] for each in run.taken] == [2]


def test_a_folder_is_made_again_no_sooner_than_at_the_second_look(run):
    """Who deletes all results would find a new folder in them."""
    run.listener._files.stop()
    shutil.rmtree(run.control)
    run.listener._files._look()
    assert not run.control.exists()
    run.listener._files._look()
    assert (run.control / "answers").exists()


def test_a_folder_that_was_deleted_is_made_again(run, channel):
    shutil.rmtree(run.control)
    wait_until((run.control / "answers").exists)
    assert echo(channel, 1) == 1
    assert stat.S_IMODE(run.control.stat().st_mode) == 0o700


def test_a_folder_that_others_could_write_into_is_not_read(run, channel):
    echo(channel, "before")
    run.control.chmod(0o770)
    time.sleep(0.05)
    command = put(run, b'{"command": "echo"}')
    with pytest.raises(ChannelError, match="control has mode 0770; must be yours, with mode 0700"):
        channel.send({"command": "echo"})
    assert command.exists() and len(run.taken) == 1
    run.control.chmod(0o700)
    assert echo(channel, "after") == "after"


@pytest.mark.parametrize(
    "kind, message",
    [("open", "has mode 0755; must be yours"), ("link", "Not a directory|symbolic"), ("file", "Not a directory")],
)
def test_a_folder_that_is_not_private_is_refused(tmp_path, kind, message):
    control = control_folder(tmp_path)
    if kind == "open":
        control.mkdir(mode=0o755)
    elif kind == "link":
        (tmp_path / "other").mkdir(mode=0o700)
        control.symlink_to("other")
    else:
        control.touch()
    with pytest.raises(ConfigurationError, match=message):
        Listener(tmp_path, Inbox())
    assert not threads()


@pytest.mark.parametrize("endpoint, is_needed", [(None, True), ("tcp://127.0.0.1:*", False)])
def test_a_run_that_nobody_needs_to_steer_goes_on_without_a_folder(tmp_path, caplog, endpoint, is_needed):
    control_folder(tmp_path).mkdir(mode=0o755)
    assert listen(tmp_path, Inbox(), None, is_needed=False) is None
    assert "this run takes no commands" in caplog.text and "mode 0755" in caplog.text
    with pytest.raises(ConfigurationError, match="mode 0755"):
        listen(tmp_path, Inbox(), endpoint, is_needed)


def test_a_state_that_cannot_be_told_ends_no_run(tmp_path, caplog):
    steered = SimpleNamespace(step=3, status=lambda: {"pace": 1.0})
    state = StateFile(state_file(tmp_path))
    state.write("runs", steered)
    assert "how the run stands cannot be told" in caplog.text
    control_folder(tmp_path).mkdir()
    state.write("paused", steered)
    assert json.loads(state_file(tmp_path).read_text()) == {"state": "paused", "step": 3, "pace": 1.0}


@needs_root
def test_a_folder_of_somebody_else_is_refused(tmp_path):
    control_folder(tmp_path).mkdir(mode=0o700)
    os.chown(control_folder(tmp_path), NOBODY, NOBODY)
    with pytest.raises(ConfigurationError, match="belongs to nobody; must be yours"):
        Listener(tmp_path, Inbox())


def test_a_folder_of_a_project_hands_its_group_down_and_is_private_all_the_same(tmp_path):
    tmp_path.chmod(0o2750)
    with toy_run(tmp_path) as run, Channel(tmp_path) as channel:
        assert stat.S_IMODE(run.control.stat().st_mode) == 0o2700
        assert echo(channel, 1) == 1


def test_what_a_run_that_died_left_is_gone_before_the_next_one(tmp_path):
    control = control_folder(tmp_path)
    (control / "answers").mkdir(parents=True)
    control.chmod(0o700)
    (control / "answers").chmod(0o700)
    (control / new_name()).write_text('{"command": "echo", "value": "of yesterday"}')
    (control / "socket.json").write_text('{"endpoint": "tcp://127.0.0.1:1", "host": "here"}')
    with toy_run(tmp_path) as run, Channel(tmp_path) as channel:
        assert echo(channel, "of today") == "of today"
        assert [each["value"] for each in run.taken] == ["of today"]
        assert os.listdir(control) == ["answers"]


def test_answers_that_nobody_fetches_are_taken_away(run, channel, monkeypatch):
    state_file(run.path).write_text("{}")
    answered = put(run, b'{"command": "echo"}')
    answer_to(run, answered)
    old, half = run.control / "answers" / answered.name, run.control / f".{new_name()}"
    half.touch()
    for each in (old, half, state_file(run.path)):
        os.utime(each, (0, 0))
    monkeypatch.setattr(files, "TIDY_S", 0.0)
    wait_until(lambda: not old.exists() and not half.exists())
    assert state_file(run.path).exists()


def test_the_state_of_a_run_can_be_read(run, channel):
    assert channel.state() == {}
    state_file(run.path).write_text('{"step": 7}')
    assert channel.state() == {"step": 7}


def test_a_run_that_ends_answers_everybody_and_takes_its_folder_away(tmp_path):
    run = ToyRun(tmp_path)
    with Channel(tmp_path) as channel, ThreadPoolExecutor(1) as thread:
        run.stop_answering()
        answer = thread.submit(channel.send, {"command": "echo"})
        wait_until(lambda: run.inbox._letters)
        run.close()
        assert answer.result() == {"ok": False, "error": "the run has ended", "state": "ended"}
    assert not run.control.exists()


def test_the_last_answer_comes_after_the_results_are_complete(tmp_path, monkeypatch):
    monkeypatch.setattr(channel_module, "CHECK_S", 0.02)
    assert last_words(tmp_path) == {"ok": True, "state": "ended"}


def test_an_end_waits_for_nobody_who_is_not_there(tmp_path):
    run = ToyRun(tmp_path)
    answer_to(run, put(run, b'{"command": "echo"}'))
    began = time.monotonic()
    run.close()
    assert time.monotonic() - began < files.FAREWELL_S + 0.5 and not run.control.exists()


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("cosim")]


def half_a_run(path: Path, state: str) -> None:
    """A results folder without a listener."""
    if state == "missing":
        return
    if state == "another folder":
        path.mkdir()
        return
    run = ToyRun(path)
    run.close()
    if state == "died":
        control_folder(path).mkdir(mode=0o700)
    elif state == "ended":
        RunFolder(path).remove_shards()
    else:
        claim(RunFolder(path))
        if state == "is built":
            RunFolder(path).built_file.unlink()


@pytest.mark.parametrize(
    "state, message",
    [
        ("missing", "no such run"),
        ("another folder", "is not the results folder of a run"),
        ("died", "has ended without being finished"),
        ("ended", "has ended"),
        ("is built", "is still being built: try again in a moment"),
        ("not steered", "takes no commands: it was started without steering, or is about to end"),
    ],
)
def test_a_run_that_takes_no_commands_says_why(tmp_path, state, message):
    half_a_run(tmp_path / "run", state)
    with pytest.raises(ChannelError) as raised:
        Channel(tmp_path / "run")
    assert str(raised.value) == f"{tmp_path / 'run'}: {message}"


def test_a_run_that_dies_while_somebody_waits_is_noticed(run, channel, monkeypatch):
    monkeypatch.setattr(channel_module, "CHECK_S", 0.05)
    monkeypatch.setattr(channel_module, "LAST_WORDS_S", 0.1)
    threading.Timer(0.1, run.die).start()
    began = time.monotonic()
    with pytest.raises(ChannelError, match="has ended without being finished"):
        channel.send({"command": "silence"}, timeout_s=20)
    assert time.monotonic() - began < 5


def test_a_command_that_was_not_taken_in_time_is_withdrawn(tmp_path):
    with toy_run(tmp_path) as run, Channel(tmp_path) as channel:
        run.listener._files.stop()
        with pytest.raises(
            NoAnswer, match="no answer within 0.1 s; the run did not take the command, and now never will"
        ) as raised:
            channel.send({"command": "echo"}, timeout_s=0.1)
        assert raised.value.taken is False and os.listdir(run.control) == ["answers"]


def test_a_command_that_was_taken_may_still_act(run, channel):
    with pytest.raises(NoAnswer, match="the run has the command and may still act on it") as raised:
        channel.send({"command": "silence"}, timeout_s=0.3)
    assert raised.value.taken is True and run.taken == [{"command": "silence"}]


def test_who_waits_for_ever_gets_an_answer_too(run, channel):
    assert channel.send({"command": "echo"}, timeout_s=math.inf)["ok"]


def test_a_command_is_withdrawn_where_its_sender_is_interrupted(tmp_path, monkeypatch):
    with toy_run(tmp_path) as run, Channel(tmp_path) as channel:
        run.listener._files.stop()
        monkeypatch.setattr(channel_module, "_take_answer", interrupt)
        with pytest.raises(KeyboardInterrupt):
            channel.send({"command": "echo"})
        assert os.listdir(run.control) == ["answers"]


def interrupt(*_) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "command, message",
    [
        ({"command": "echo", "text": "x" * 10**6}, "bytes: at most 1,000,000"),
        ({"command": 3}, 'must be a JSON object with a "command"'),
        ({"command": "echo", "v": float("nan")}, "not JSON compliant"),
        ({"command": "echo", "v": "\ud800"}, "surrogates not allowed"),
        ({"command": "echo", (1, 2): 3}, "keys must be str"),
    ],
)
def test_what_cannot_be_a_command_is_not_sent(run, channel, command, message):
    with pytest.raises(ValueError, match=message):
        channel.send(command)
    assert run.taken == [] and os.listdir(run.control) == ["answers"]


def test_an_answer_never_fails_to_be_written():
    circle: dict = {"ok": True}
    circle["itself"] = circle
    assert "Circular" in json.loads(encode_answer(circle))["error"]
    odd = {"a": np.arange(2), "b": Path("p"), "c": MappingProxyType({"d": np.float64(0.5)})}
    assert json.loads(encode_answer(odd)) == {"a": [0, 1], "b": "p", "c": {"d": 0.5}}


def half_a_file_and_die(run: ToyRun) -> None:
    (run.control / f".{new_name()}").write_text('{"comm')
    kill_myself()


def send_and_die(channel: Channel) -> None:
    threading.Timer(0.1, kill_myself).start()
    channel.send({"command": "silence"})


def test_clients_that_are_killed_change_nothing(run, channel):
    assert in_child(partial(half_a_file_and_die, run)) == -9
    assert in_child(partial(send_and_die, channel)) == -9
    assert echo(channel, 1) == 1
    assert [each["command"] for each in run.taken] == ["silence", "echo"]


def test_a_channel_works_after_a_fork(run, channel):
    assert in_child(lambda: echo(channel, 1)) == 0
    assert echo(channel, 2) == 2


def test_nothing_is_left_behind_by_channels_and_runs(tmp_path):
    descriptors, tasks = os.listdir("/proc/self/fd"), os.listdir("/proc/self/task")
    for each in range(5):
        with toy_run(tmp_path / str(each)) as run, Channel(run.path) as channel:
            echo(channel, each)
    assert sorted(os.listdir("/proc/self/fd")) == sorted(descriptors)
    assert sorted(os.listdir("/proc/self/task")) == sorted(tasks)


@pytest.mark.parametrize(
    "took_s, untouched_s, pause_s",
    [(2e-5, 0.0, 0.05), (2e-5, 599.0, 0.05), (2e-5, 601.0, 1.0), (0.1, 0.0, 2.0), (0.1, 601.0, 2.0)],
)
def test_looks_are_rare_where_nobody_sends_anything_or_looking_is_slow(monkeypatch, took_s, untouched_s, pause_s):
    monkeypatch.undo()
    assert files.pause_s(took_s, untouched_s) == pytest.approx(pause_s)


def test_a_command_brings_frequent_looks_back(run, channel, monkeypatch):
    monkeypatch.setattr(files, "IDLE_LOOK_S", 0.3)
    run.listener._files._touched -= 1000
    time.sleep(0.1)  # the next look is a rare one
    echo(channel, "found late")
    began = time.monotonic()
    for each in range(5):
        echo(channel, each)
    assert time.monotonic() - began < 1.2


@needs_root
def test_nobody_else_can_read_or_steer():
    with tempfile.TemporaryDirectory(prefix="cosim-test-") as place:
        Path(place).chmod(0o755)
        with toy_run(Path(place) / "run") as run, Channel(run.path) as channel:
            run.path.chmod(0o755)
            state_file(run.path).write_text("{}")
            name = new_name()
            assert in_child(partial(try_everything, run.path, name), NOBODY) == 0
            assert echo(channel, 1) == 1 and len(run.taken) == 1
            assert not (run.control / name).exists()


def try_everything(run: Path, name: str) -> None:
    """As somebody else, who can look into the folder of the run."""
    assert "control" in os.listdir(run)
    control = control_folder(run)
    for refused in (
        lambda: os.listdir(control),
        lambda: (control / "state.json").read_text(),
        lambda: (control / name).write_text('{"command": "echo"}'),
        lambda: (control / "answers" / name).write_text("{}"),
        lambda: control.rename(run / "mine"),
        lambda: shutil.rmtree(control),
    ):
        with pytest.raises(PermissionError):
            refused()
    with pytest.raises(ChannelError, match="belongs to root, and only root can steer it"):
        Channel(run)


@needs_root
def test_root_steers_no_run_of_somebody_else(run):
    os.chown(run.control, NOBODY, NOBODY)
    with pytest.raises(ChannelError, match="control belongs to nobody; must be yours"):
        Channel(run.path)
    os.chown(run.control, 0, 0)


def test_a_letter_more_than_there_is_room_for_is_refused(monkeypatch):
    monkeypatch.setattr(inbox, "CAPACITY", 1)
    announced, answers = [], []
    box = Inbox(lambda: announced.append(1))
    for each in range(2):
        box.put(Letter({"command": str(each)}, "me", answers.append))
    assert len(announced) == 1 and "wait already" in answers[0]["error"]
    assert box.take().command == {"command": "0"} and box.take() is None


def test_round_trips_are_measured(tmp_path):
    measured = round_trips(tmp_path, by_file=2, by_socket=0)
    assert [*measured] == ["files"] and len(measured["files"]) == 2
    assert all(0 < each < 5 for each in measured["files"])


def test_trouble_is_told_once_and_ends_nothing(run, channel, caplog):
    run.control.chmod(0o755)
    time.sleep(0.2)
    assert caplog.messages == ["no commands can come as files: control: has mode 0755; must be yours, with mode 0700"]
    run.control.chmod(0o700)
    assert echo(channel, 1) == 1


def test_a_run_whose_results_are_deleted_goes_on(run, monkeypatch):
    monkeypatch.setattr(files, "LOOK_S", 0.2)
    time.sleep(0.05)
    shutil.rmtree(run.path)
    time.sleep(0.5)
    assert threads() == ["cosim commands by files"] and not run.path.exists()


def test_a_run_can_be_steered_where_it_was_moved_to(run, tmp_path):
    run.path.rename(tmp_path / "moved")
    with Channel(tmp_path / "moved") as channel:
        assert echo(channel, 1) == 1
