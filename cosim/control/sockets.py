# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands through a ZeroMQ socket, for who wants an answer in less than a millisecond.

Everything is encrypted and both sides prove who they are (CURVE, with keys that are made for each run): who cannot read
``RUN/control`` can neither steer nor listen. ZeroMQ itself stands behind a `Gate`.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from cosim.control.gate import Gate, listen_at
from cosim.control.inbox import Letter
from cosim.control.keys import ClientKeys, Keys, make_keys
from cosim.control.messages import MOST_BYTES, decode_command, encode_answer, refusal

# What the system, or ZeroMQ, says where something cannot be made.
SOCKET_ERRORS = (OSError, zmq.ZMQError)

# The path of a local socket has at most 107 characters.
LONGEST_PLACE = 80
# Who has not shown its key by then is shut out.
HANDSHAKE_MS = 2000
# Who is silent for so long, though asked whether it is still there, is gone.
ASK_MS, SILENT_MS = 10_000, 30_000
# Answers that wait for a client; when it fetches none, further ones are dropped.
WAITING_ANSWERS = 1000
# Answers under way when the run ends.
LINGER_MS = 500
# So many commands are taken before others have their turn.
AT_ONCE = 100
# What ZeroMQ says first of a connection that stands.
WELCOME = zmq.EVENT_HANDSHAKE_SUCCEEDED
NEVER_MS = 10**9
# Sent as soon as a command is in the run's hands, ahead of its answer.
TAKEN = b""


class SocketListener:
    """Delivers commands that come through a socket, and sends the answers to them."""

    def __init__(self, endpoint: str, deliver: Callable[[Letter], None]) -> None:
        """Listen at ``endpoint``, such as ``tcp://127.0.0.1:*``. Raises ConfigurationError or one of SOCKET_ERRORS."""
        self._deliver = deliver
        self._keys = make_keys()
        self._outgoing: deque[tuple[bytes, bytes]] = deque()
        self._is_over = False
        with ExitStack() as undo:
            listening = undo.enter_context(listen_at(endpoint))
            # Only this user can go round the gate.
            place = "/tmp" if len(tempfile.gettempdir()) > LONGEST_PLACE else None
            self._folder = tempfile.TemporaryDirectory(prefix="cosim-", dir=place, ignore_cleanup_errors=True)
            undo.callback(self._folder.cleanup)
            self._context = zmq.Context()
            undo.callback(self._context.destroy, linger=0)
            self._judge = self._context.socket(zmq.REP)
            self._judge.bind("inproc://zeromq.zap.01")
            self._router = _server_socket(self._context, self._keys)
            inner = str(Path(self._folder.name) / "inner")
            self._router.bind(f"ipc://{inner}")
            self._wake, self._woken = _non_blocking_pair()
            undo.pop_all()
        self._thread = threading.Thread(target=self._serve, name="cosim commands by socket", daemon=True)
        self._thread.start()
        self._gate = Gate(listening, inner)
        self.endpoint = self._gate.endpoint
        self.client_keys = self._keys.client

    def stop(self) -> None:
        """Take no more commands."""
        self._is_over = True
        self._wake_up()
        self._thread.join()

    def close(self) -> None:
        """After `stop`: send the answers that are left, and end."""
        self._send_answers()
        self._judge.close(0)
        self._router.close(LINGER_MS)
        self._context.term()
        self._gate.close()
        self._wake.close()
        self._woken.close()
        self._folder.cleanup()

    def _serve(self) -> None:
        poller = zmq.Poller()
        turns = {self._router: self._take_some, self._judge: self._judge_one, self._woken.fileno(): self._send_answers}
        for each in turns:
            poller.register(each, zmq.POLLIN)
        while not self._is_over:
            for each, _ in poller.poll():
                turns[each]()

    def _judge_one(self) -> None:
        """Say whether who shows a key may come in (ZeroMQ's ZAP, RFC 27)."""
        version, request, *_, mechanism, key = self._judge.recv_multipart()
        is_known = mechanism == b"CURVE" and key == z85.decode(self._keys.client.public)
        verdict = (b"200", b"OK") if is_known else (b"400", b"unknown key")
        self._judge.send_multipart([version, request, *verdict, b"", b""])

    def _take_some(self) -> None:
        for _ in range(AT_ONCE):
            try:
                client, *text = self._router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._take(client, b"".join(text))

    def _take(self, client: bytes, text: bytes) -> None:
        answer = partial(self._answer, client)
        self._router.send_multipart([client, TAKEN])
        try:
            command, who = decode_command(text)
        except ValueError as error:
            answer(refusal(error))
        else:
            self._deliver(Letter(command, who, answer))

    def _answer(self, client: bytes, answer: dict[str, Any]) -> None:
        """Called by any thread; ZeroMQ's sockets belong to theirs."""
        self._outgoing.append((client, encode_answer(answer)))
        self._wake_up()

    def _wake_up(self) -> None:
        with suppress(OSError):  # it was waked many times already, or has ended
            self._wake.send(b".")

    def _send_answers(self) -> None:
        with suppress(BlockingIOError):  # nobody waked it: it is the end
            self._woken.recv(4096)
        while self._outgoing:
            self._router.send_multipart(self._outgoing.popleft())


def _non_blocking_pair() -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair()
    for each in pair:
        each.setblocking(False)
    return pair


def _server_socket(context: zmq.Context, keys: Keys) -> zmq.Socket:
    made = context.socket(zmq.ROUTER)
    made.curve_server = True
    made.curve_secretkey = keys.server_secret.encode()
    made.handshake_ivl = HANDSHAKE_MS
    made.maxmsgsize = MOST_BYTES
    made.heartbeat_ivl, made.heartbeat_timeout = ASK_MS, SILENT_MS
    made.sndhwm = made.rcvhwm = WAITING_ANSWERS
    return made


class SocketConnection:
    """A client's connection to the socket of a run; it is used for one command at a time."""

    def __init__(self, context: zmq.Context, endpoint: str, keys: ClientKeys) -> None:
        self._socket = context.socket(zmq.DEALER)
        self._socket.linger = 0
        # Not again while somebody waits: a command must not act later than its sender thinks. Not -1 nor `immediate`,
        # with which an answer that has come is lost if the connection ends before it is fetched.
        self._socket.reconnect_ivl = NEVER_MS
        self._socket.ipv6 = "[" in endpoint
        self._socket.curve_serverkey = keys.server_public.encode()
        self._socket.curve_publickey = keys.public.encode()
        self._socket.curve_secretkey = keys.secret.encode()
        self._events = self._socket.get_monitor_socket(WELCOME | zmq.EVENT_CLOSED | zmq.EVENT_DISCONNECTED)
        self._socket.connect(endpoint)

    def stands(self, within_s: float) -> bool:
        """Whether the run lets us in within so many seconds; asked once."""
        if not self._events.poll(1000 * within_s):
            return False
        return recv_monitor_message(self._events)["event"] == WELCOME

    @property
    def is_lost(self) -> bool:
        """Whether a connection that stood was interrupted."""
        return bool(self._events.poll(0))

    def send(self, text: bytes) -> None:
        """Send a command."""
        self._socket.send(text)

    def receive(self, within_s: float) -> bytes | None:
        """What comes next, `TAKEN` or an answer; None if nothing comes within so many seconds."""
        return self._socket.recv() if self._socket.poll(1000 * within_s) else None

    def close(self) -> None:
        """Whatever still comes is nobody's."""
        self._socket.disable_monitor()
        self._socket.close()


class Connections:
    """A client's connections to the socket of a run: one for each thread that waits for an answer, used again."""

    def __init__(self, endpoint: str, keys: ClientKeys) -> None:
        self._endpoint, self._keys, self._process = endpoint, keys, os.getpid()
        self._context = zmq.Context()
        self._idle: list[SocketConnection] = []
        # In a process that was forked pyzmq leaves alone what is not its own.
        self.close = weakref.finalize(self, self._context.destroy, linger=0)
        """End all connections, and with them ZeroMQ's thread; done also when nobody holds this object any more."""

    @property
    def is_of_this_process(self) -> bool:
        """Connections cannot be used in a process that was forked from theirs."""
        return self._process == os.getpid()

    def take(self, within_s: float) -> SocketConnection | None:
        """A connection that nobody uses; None if the run does not let us in within so many seconds."""
        while self._idle:
            with suppress(IndexError):  # another thread took the last one
                known = self._idle.pop()
                if not known.is_lost:
                    return known
                known.close()
        made = SocketConnection(self._context, self._endpoint, self._keys)
        if made.stands(within_s):
            return made
        made.close()
        return None

    def give_back(self, connection: SocketConnection) -> None:
        """After an answer came; one whose answer may still come must be closed instead."""
        self._idle.append(connection)
