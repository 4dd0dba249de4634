# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands come through a run's socket, too, and whatever else comes to it does not disturb the run."""

from __future__ import annotations

import json
import math
import os
import resource
import socket
import stat
import struct
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import zmq
from control_run import NOBODY, ToyRun, echo, in_child, kill_myself, last_words, toy_run, wait_until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosim.bench.channel import round_trips
from cosim.control import channel as channel_module
from cosim.control.channel import Channel, ChannelError, NoAnswer
from cosim.control.gate import CONNECTIONS, PAUSE_S, Gate, listen_at
from cosim.control.keys import ClientKeys
from cosim.control.sockets import Connections
from cosim.errors import ConfigurationError

GREETING = b"\xff\0\0\0\0\0\0\0\0\x7f\3\0" + b"CURVE".ljust(20, b"\0") + bytes(32)
THREADS = {"cosim commands by files", "cosim commands by socket", "cosim gate"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One for most tests: what disturbs it in one of them would be seen in the next."""
    with toy_run(tmp_path_factory.mktemp("socket") / "run", "tcp://127.0.0.1:*") as made:
        yield made


@pytest.fixture
def channel(run, monkeypatch):
    """One that must not take files, however busy the machine is."""
    monkeypatch.setattr(Channel, "_by_file", by_no_file)
    monkeypatch.setattr(channel_module, "CONNECT_S", 20.0)
    with Channel(run.path) as made:
        yield made


def by_no_file(*_) -> None:
    raise AssertionError("a command went by file")


def address(run: ToyRun) -> tuple[str, int]:
    endpoint = json.loads((run.control / "socket.json").read_text())["endpoint"]
    host, port = endpoint.removeprefix("tcp://").split(":")
    return host, int(port)


def keys(run: ToyRun) -> ClientKeys:
    return ClientKeys.from_json((run.control / "keys").read_bytes())


def threads() -> set[str]:
    return {each.name for each in threading.enumerate() if each.name.startswith("cosim")}


def memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def test_an_answer_comes_back_to_who_asked(run, channel):
    answer = channel.send({"command": "echo", "value": 1})
    assert answer["echo"] == {"command": "echo", "value": 1} and str(os.getpid()) in answer["who"]
    assert not channel.send({"command": "dance"})["ok"]


def test_only_its_owner_can_read_the_keys_and_the_runs_own_is_nowhere(run):
    assert stat.S_IMODE((run.control / "keys").stat().st_mode) == 0o600
    secret = run.listener._socket._keys.server_secret
    assert secret not in (run.control / "keys").read_text()
    assert address(run)[0] == "127.0.0.1"


def test_a_socket_opens_when_somebody_asks_for_it(tmp_path):
    with toy_run(tmp_path) as run, Channel(tmp_path) as channel:
        assert echo(channel, 1) == 1
        assert run.listener._socket is None
        first = channel.send({"command": "open_socket"})
        assert first["ok"] and first == channel.send({"command": "open_socket"})
        assert echo(channel, 2) == 2 and channel._connections
        assert [each["command"] for each in run.taken] == ["echo", "echo"]


@pytest.mark.parametrize(
    "endpoint, message",
    [
        ("ipc:///tmp/x", "must be tcp://HOST:PORT"),
        ("tcp://127.0.0.1", "must be tcp://HOST:PORT"),
        ("tcp://127.0.0.1:70000", "must be tcp://HOST:PORT"),
        ("tcp://192.0.2.1:*", "Cannot assign requested address"),
        ("tcp://no.such.host.invalid:*", "Name or service not known|Temporary failure|No address"),
    ],
)
def test_where_it_cannot_listen_is_told(tmp_path, endpoint, message):
    with pytest.raises(ConfigurationError, match=f"socket {endpoint.replace('*', '.')}: .*({message})"):
        ToyRun(tmp_path, endpoint)
    assert not (tmp_path / "control").exists()


def test_a_port_that_is_taken_is_told_to_who_asked(run, tmp_path):
    with toy_run(tmp_path), Channel(tmp_path) as channel:
        endpoint = f"tcp://127.0.0.1:{address(run)[1]}"
        answer = channel.send({"command": "open_socket", "endpoint": endpoint})
        assert answer == {"ok": False, "error": f"socket {endpoint}: Address already in use"}
        assert echo(channel, 1) == 1


def test_what_keeps_it_from_opening_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")  # short: for a long name there is /tmp
    with toy_run(tmp_path / "run") as run, Channel(run.path) as channel:
        before = len(os.listdir("/proc/self/fd"))
        answer = channel.send({"command": "open_socket"})
        assert answer == {"ok": False, "error": "socket tcp://127.0.0.1:*: No such file or directory"}
        wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before + 1)
        assert echo(channel, 1) == 1


def test_it_opens_where_the_place_for_temporary_files_has_a_long_name(tmp_path, monkeypatch):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with toy_run(tmp_path / "run", "tcp://127.0.0.1:*"):
        assert not os.listdir(deep)


def test_without_pyzmq_files_still_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cosim.control.sockets", None)
    with toy_run(tmp_path), Channel(tmp_path) as channel:
        assert "needs pyzmq: pip install 'cosim[steer]'" in channel.send({"command": "open_socket"})["error"]
        assert echo(channel, 1) == 1


def test_a_client_without_pyzmq_sends_files(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "cosim.control.sockets", None)
    with Channel(run.path) as channel:
        assert echo(channel, 1) == 1 and channel._connections is None


def test_several_clients_and_threads_each_get_their_own_answers(run, channel):
    with Channel(run.path) as other, ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda each: echo((channel, other)[each % 2], each), range(200)))
        assert got == [*range(200)]
        assert len(channel._connections._idle) <= 8


def test_an_answer_that_comes_too_late_is_nobodys(run, channel):
    echo(channel, 1)
    with pytest.raises(NoAnswer, match="may still act") as raised:
        channel.send({"command": "silence"}, timeout_s=0.3)
    assert raised.value.taken is True
    assert echo(channel, 2) == 2


def test_a_run_that_does_not_even_say_that_it_took_a_command(tmp_path, monkeypatch):
    with toy_run(tmp_path, "tcp://127.0.0.1:*") as run, Channel(tmp_path) as channel:
        echo(channel, "connected")
        run.listener._socket.stop()
        with pytest.raises(NoAnswer, match="it is not known whether the run has the command") as raised:
            channel.send({"command": "echo"}, timeout_s=0.1)
        assert raised.value.taken is None


def test_an_interrupt_leaves_the_channel_usable(run, channel, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Channel, "_receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            channel.send({"command": "echo", "value": "too late"})
    assert echo(channel, "in time") == "in time"


def test_a_channel_works_after_a_fork(run, channel):
    assert echo(channel, 1) == 1
    assert in_child(lambda: echo(channel, 2)) == 0
    assert echo(channel, 3) == 3


def test_a_client_that_is_killed_changes_nothing(run, channel):
    def send_and_die() -> None:
        threading.Timer(0.1, kill_myself).start()
        Channel(run.path).send({"command": "silence"})

    assert in_child(send_and_die) == -9
    assert echo(channel, 1) == 1


def test_a_run_that_ends_answers_everybody(tmp_path):
    run = ToyRun(tmp_path, "tcp://127.0.0.1:*")
    with Channel(tmp_path) as channel, ThreadPoolExecutor(1) as pool:
        run.stop_answering()
        answer = pool.submit(channel.send, {"command": "echo"})
        wait_until(lambda: not run.inbox.is_empty)
        run.close()
        assert answer.result() == {"ok": False, "error": "the run has ended", "state": "ended"}


def test_the_last_answer_comes_after_the_results_are_complete(tmp_path, monkeypatch):
    monkeypatch.setattr(channel_module, "CHECK_S", 0.02)
    monkeypatch.setattr(Channel, "_by_file", by_no_file)
    many = "x" * 3_000_000
    assert last_words(tmp_path, "tcp://127.0.0.1:*", many) == {"ok": True, "state": many}


def test_a_run_that_dies_while_somebody_waits_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(channel_module, "CHECK_S", 0.05)
    monkeypatch.setattr(channel_module, "LAST_WORDS_S", 0.1)
    with toy_run(tmp_path, "tcp://127.0.0.1:*") as run, Channel(tmp_path) as channel:
        threading.Timer(0.1, run.die).start()
        with pytest.raises(ChannelError, match="has ended without being finished"):
            channel.send({"command": "silence"}, timeout_s=20)


def test_files_are_the_way_where_the_socket_lets_nobody_in(run, monkeypatch):
    monkeypatch.setattr(channel_module, "CONNECT_S", 0.1)
    host, port = address(run)
    wrong, tries = keys_like(run), []

    def connections(_) -> Connections:
        tries.append(1)
        return Connections(f"tcp://{host}:{port}", wrong)

    monkeypatch.setattr(channel_module, "_connections", connections)
    with Channel(run.path) as channel:
        assert [echo(channel, each) for each in range(3)] == [0, 1, 2]
        assert tries == [1], "the socket is not tried again at once"


def test_files_are_the_way_where_nobody_listens_any_more(run, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        endpoint = f"tcp://127.0.0.1:{gone.getsockname()[1]}"
    monkeypatch.setattr(channel_module, "CONNECT_S", 20.0)
    monkeypatch.setattr(channel_module, "_connections", lambda _: Connections(endpoint, keys(run)))
    began = time.monotonic()
    with Channel(run.path) as channel:
        assert echo(channel, 1) == 1
    assert time.monotonic() - began < 15


def test_a_connection_that_was_lost_is_not_used_again(tmp_path):
    with toy_run(tmp_path, "tcp://127.0.0.1:*") as run, Channel(tmp_path) as channel:
        echo(channel, 1)
        known = channel._connections._idle[0]
        cut_off(run)
        wait_until(lambda: known.is_lost)
        assert echo(channel, 2) == 2
        assert channel._connections._idle[0] is not known


def test_nobody_waits_for_ever_for_an_answer_whose_connection_was_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(channel_module, "CHECK_S", 0.05)
    with toy_run(tmp_path, "tcp://127.0.0.1:*") as run, Channel(tmp_path) as channel:
        threading.Timer(0.2, cut_off, (run,)).start()
        with pytest.raises(NoAnswer, match="the connection was lost; the run has the command and may still act on it"):
            channel.send({"command": "silence"}, timeout_s=math.inf)


def cut_off(run: ToyRun) -> None:
    """As a network does it."""
    for each in list(run.listener._socket._gate._partners):
        with suppress(OSError):  # the gate has closed it already, with its partner
            each.shutdown(socket.SHUT_RDWR)


def keys_like(run: ToyRun) -> ClientKeys:
    """A stranger's keys, who knows the run's public one."""
    public, secret = (each.decode() for each in zmq.curve_keypair())
    return ClientKeys(public, secret, keys(run).server_public)


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    with tempfile.TemporaryDirectory() as place:
        monkeypatch.setattr(tempfile, "tempdir", place)
        open_and_leave(tmp_path / "whatever is made once is made")
        before = {each: len(os.listdir(f"/proc/self/{each}")) for each in ("fd", "task")}
        for each in range(5):
            open_and_leave(tmp_path / str(each), closes=each % 2 == 1)
        assert {each: len(os.listdir(f"/proc/self/{each}")) for each in before} == before
        assert os.listdir(place) == []


def open_and_leave(path: Path, closes: bool = True) -> None:
    with toy_run(path, "tcp://127.0.0.1:*"):
        channel = Channel(path)
        echo(channel, 1)
        if closes:
            channel.close()


# Strangers


def knock(run: ToyRun, pieces: bytes) -> None:
    """Say something at the door of the run and leave when it does not answer any more."""
    with socket.create_connection(address(run), timeout=0.05) as door:
        try:
            door.sendall(pieces)
            while door.recv(4096):
                pass
        except OSError:
            return


def frame(kind: int, content: bytes) -> bytes:
    return struct.pack(">BQ", kind | 2, len(content)) + content


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    noise=st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(lambda noise: GREETING + noise),
        st.binary(max_size=200).map(lambda noise: GREETING + frame(4, b"\5HELLO" + noise)),
        st.binary(min_size=194, max_size=194).map(lambda noise: GREETING + frame(4, b"\5HELLO" + noise)),
        st.binary(max_size=200).map(lambda noise: GREETING + frame(0, noise)),
    )
)
def test_garbage_at_the_door_does_not_disturb(run, channel, noise):
    knock(run, noise)
    assert echo(channel, 1) == 1 and threads() == THREADS


def stranger(run: ToyRun, how: ClientKeys | None, context: zmq.Context | None = None) -> zmq.Socket:
    """Somebody who talks to the run's socket with a program of their own."""
    made = (context or zmq.Context.instance()).socket(zmq.DEALER)
    made.linger, made.rcvtimeo = 0, 300
    if how:
        made.curve_serverkey = how.server_public.encode()
        made.curve_publickey, made.curve_secretkey = how.public.encode(), how.secret.encode()
    made.connect("tcp://{}:{}".format(*address(run)))
    return made


@pytest.mark.parametrize("kind", ["no keys", "own keys", "another run's keys"])
def test_without_the_keys_of_the_run_nobody_is_heard(run, channel, kind):
    taken = len(run.taken)
    public, secret = (each.decode() for each in zmq.curve_keypair())
    wrong = {"no keys": None, "own keys": keys_like(run), "another run's keys": ClientKeys(public, secret, public)}
    with stranger(run, wrong[kind]) as outside:
        outside.send(b'{"command": "echo"}')
        with pytest.raises(zmq.Again):
            outside.recv()
    assert len(run.taken) == taken
    assert echo(channel, 1) == 1


@pytest.mark.parametrize("text", [[b"\0garbage"], [b"{", b'"command"'], [b"[" * 9999], [b"1"]])
def test_garbage_of_who_has_the_keys_is_answered(run, channel, text):
    with stranger(run, keys(run)) as client:
        client.send_multipart(text)
        assert client.recv() == b""
        assert "not a command" in json.loads(client.recv())["error"]
    assert echo(channel, 1) == 1


def test_a_message_that_is_too_large_is_not_read(run, channel):
    taken = len(run.taken)
    with stranger(run, keys(run)) as client:
        client.send(b'{"command": "echo", "value": "' + b"x" * 2_000_000 + b'"}')
        with pytest.raises(zmq.Again):
            client.recv()
    assert echo(channel, 1) == 1 and len(run.taken) == taken + 1


def test_gigabytes_take_no_memory(run, channel):
    """Of who has the keys, and tries again and again."""
    before_mb = memory_mb()
    assert in_child(partial(send_much, run, 1.0)) == 0
    assert memory_mb() - before_mb < 20 and echo(channel, 1) == 1


def send_much(run: ToyRun, for_s: float) -> None:
    made = stranger(run, keys(run), zmq.Context())
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        with suppress(zmq.Again):
            made.send(bytes(5_000_000), zmq.NOBLOCK)
        time.sleep(0.01)


def test_thousands_of_connections_take_few_descriptors_and_nobodys_place(run, channel):
    echo(channel, "connected")
    before, before_mb = len(os.listdir("/proc/self/fd")), memory_mb()
    crowd = threading.Thread(target=in_child, args=(partial(flood, address(run), 2000, 1.5),))
    crowd.start()
    most = 0
    while crowd.is_alive():
        assert echo(channel, 1) == 1
        most = max(most, len(os.listdir("/proc/self/fd")))
        time.sleep(0.01)
    crowd.join()
    assert before + CONNECTIONS < most <= before + 3 * CONNECTIONS + 20
    assert memory_mb() - before_mb < 30 and threads() == THREADS


def flood(address: tuple[str, int], count: int, for_s: float) -> None:
    """Connect many times and say nothing."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    crowd = [socket.socket() for _ in range(count)]
    for each in crowd:
        each.setblocking(False)
        each.connect_ex(address)
    time.sleep(for_s)


def test_who_says_nothing_is_shut_out(run):
    began = time.monotonic()
    with socket.create_connection(address(run), timeout=20) as silent:
        while silent.recv(4096):
            pass
    assert time.monotonic() - began > 1


def test_who_comes_and_goes_does_not_keep_the_gate_busy(tmp_path, monkeypatch):
    newcomers, let_in = [], Gate._let_in
    monkeypatch.setattr(Gate, "_let_in", lambda gate: newcomers.append(let_in(gate)))
    with toy_run(tmp_path, "tcp://127.0.0.1:*") as run:
        began = time.monotonic()
        assert in_child(partial(come_and_go, address(run), 0.5)) == 0
        # Without the pause there would be thousands; on a busy machine some come in pairs.
        assert 2 < len(newcomers) < 5 + 2 * (time.monotonic() - began) / PAUSE_S
        with Channel(tmp_path) as channel:
            assert echo(channel, 1) == 1


def test_what_was_said_inside_still_goes_out_when_the_gate_closes(tmp_path):
    said = b"x" * 3_000_000
    with socket.socket(socket.AF_UNIX) as inner, ThreadPoolExecutor(1) as pool:
        inner.bind(str(tmp_path / "inner"))
        inner.listen()
        gate = Gate(listen_at("tcp://127.0.0.1:*"), str(tmp_path / "inner"))
        host, port = gate.endpoint.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port))) as outside:
            inside, _ = inner.accept()
            heard = pool.submit(read_all, outside)
            inside.sendall(said)
            inside.close()
            gate.close()
            assert heard.result() == said


def read_all(source: socket.socket) -> bytes:
    pieces = []
    with suppress(ConnectionResetError):
        while piece := source.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def come_and_go(address: tuple[str, int], for_s: float) -> None:
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        with socket.socket() as each:
            each.settimeout(0.05)
            try:
                each.connect(address)
            except OSError:
                continue


def test_nobody_else_can_have_the_keys_or_go_round_the_gate():
    with tempfile.TemporaryDirectory(prefix="test-") as place:
        Path(place).chmod(0o755)
        with toy_run(Path(place) / "run", "tcp://127.0.0.1:*") as run, Channel(run.path) as channel:
            run.path.chmod(0o755)
            inner = run.listener._socket._gate._inner
            at = address(run)
            assert in_child(partial(try_everything, run, inner, at), NOBODY) == 0
            assert echo(channel, 1) == 1 and len(run.taken) == 1


def try_everything(run: ToyRun, inner: str, at: tuple[str, int]) -> None:
    with pytest.raises(PermissionError):
        (run.control / "keys").read_text()
    with socket.socket(socket.AF_UNIX) as door, pytest.raises(PermissionError):
        door.connect(inner)
    public, secret = (each.decode() for each in zmq.curve_keypair())
    connections = Connections("tcp://{}:{}".format(*at), ClientKeys(public, secret, public))
    assert connections.take(0.3) is None


@pytest.mark.parametrize(
    "endpoint, host, reached",
    [
        ("tcp://127.0.0.1:5", "here", "tcp://127.0.0.1:5"),
        ("tcp://127.0.0.1:5", "there", None),
        ("tcp://0.0.0.0:5", "here", "tcp://127.0.0.1:5"),
        ("tcp://0.0.0.0:5", "there", "tcp://there:5"),
        ("tcp://192.0.2.7:5", "there", "tcp://192.0.2.7:5"),
    ],
)
def test_a_socket_is_found_from_another_machine_if_it_listens_there(monkeypatch, endpoint, host, reached):
    monkeypatch.setattr("platform.node", lambda: "here")
    assert channel_module._reachable(endpoint, host) == reached


@pytest.mark.parametrize("endpoint", ["tcp://*:*", "tcp://[::1]:*", "tcp://localhost:*"])
def test_it_listens_where_it_is_told(tmp_path, endpoint, monkeypatch):
    with toy_run(tmp_path, endpoint), Channel(tmp_path) as channel:
        monkeypatch.setattr(Channel, "_by_file", by_no_file)
        assert echo(channel, 1) == 1


def test_round_trips_are_measured(tmp_path):
    measured = round_trips(tmp_path, by_file=1, by_socket=20)
    assert len(measured["socket"]) == 20 and min(measured["socket"]) < min(measured["files"])
