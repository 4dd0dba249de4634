# SPDX-License-Identifier: GPL-2.0-or-later
"""A client's end of the channel: sends a command to a run that goes on, and brings its answer."""

from __future__ import annotations

import ipaddress
import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cosim.control import private
from cosim.control.condition import how_it_ended, why_not
from cosim.control.files import ANSWERS, CONTROL, KEYS, LOOK_S, SOCKET, STATE
from cosim.control.gate import check_endpoint
from cosim.control.messages import encode_command, new_name
from cosim.record.attempts import attempt
from cosim.record.folder import RunFolder
from cosim.record.owner import living_owner

if TYPE_CHECKING:
    from cosim.control.sockets import Connections, SocketConnection

# A socket that does not let us in by then is left for a while, for files.
CONNECT_S, AVOID_S = 1.0, 30.0
# Who waits for an answer asks so often whether the run still lives.
CHECK_S = 1.0
# Its results are complete before it gives its last answers.
LAST_WORDS_S = 2.0
# The first look for an answer comes after a run that looks itself can have seen the command.
FIRST_LOOK_S = 0.002

FATES = {
    True: "the run has the command and may still act on it",
    False: "the run did not take the command, and now never will",
    None: "it is not known whether the run has the command",
}

Found = TypeVar("Found")


class ChannelError(Exception):
    """A command did not reach a run, or no answer came; the message says in one line why."""


class NoAnswer(ChannelError):
    """No answer came in time.

    ``taken`` is True if the run has the command and may still act on it, False if it was withdrawn and never acts, and
    None if nobody knows: it was sent through a socket, and the run did not even say that it came.
    """

    def __init__(self, message: str, taken: bool | None) -> None:
        super().__init__(message)
        self.taken = taken


class Channel:
    """Commands to a run: through its socket if it has opened one, else by files in its folder.

    It may be used by several threads, after a fork, and by as many clients at once as there are; each gets its own
    answers. No thread of Python's is behind it; one of ZeroMQ's is, as long as a socket is used.
    """

    def __init__(self, run: str | Path) -> None:
        """The channel to the run whose results folder is ``run``.

        Raises:
            ChannelError: there is no such run, it has ended, is still built, belongs to somebody else, or takes no
                commands.
        """
        self._run = RunFolder(Path(run))
        self._connections: Connections | None = None
        self._avoid_until = 0.0
        self._in_folder(lambda folder: None)
        self._check_alive()

    def send(self, command: dict[str, Any], timeout_s: float = 10.0) -> dict[str, Any]:
        """Send ``{"command": ..., ...}`` and wait for the answer, ``{"ok": true, ...}`` or one with an ``error``.

        Raises:
            ValueError: the command cannot be written as JSON, or is larger than 1 MB.
            NoAnswer: none came within ``timeout_s``; a command that the run had not taken by then is withdrawn.
            ChannelError: the run has ended, or anything else that the constructor says.
        """
        text = encode_command(command)
        deadline = time.monotonic() + timeout_s
        answer = self._by_socket(text, deadline, timeout_s)
        return self._by_file(text, deadline, timeout_s) if answer is None else answer

    def state(self) -> dict[str, Any]:
        """How the run stands, as it wrote last; empty if it wrote nothing yet. Raises ChannelError."""
        text = self._in_folder(lambda folder: _read(folder, STATE))
        return json.loads(text) if text else {}

    def close(self) -> None:
        """End the connection to the socket, if there is one; it stands again when it is needed."""
        if self._connections:
            self._connections.close()
        self._connections = None

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _by_file(self, text: bytes, deadline: float, timeout_s: float) -> dict[str, Any]:
        name = new_name()
        self._in_folder(lambda folder: private.write(folder, name, text))
        try:
            answer = self._fetch(name, deadline)
        except BaseException:  # such as Ctrl-C in a notebook
            with suppress(ChannelError):
                self._withdraw(name)
            raise
        if answer is None:
            self._check_alive()
            raise self._no_answer(timeout_s, taken=not self._withdraw(name))
        return json.loads(answer)

    def _fetch(self, name: str, deadline: float) -> bytes | None:
        """The answer to the command ``name``; None if none comes."""
        pause_s, check_at = FIRST_LOOK_S, time.monotonic() + CHECK_S
        while True:
            time.sleep(max(0.0, min(pause_s, deadline - time.monotonic())))
            answer = self._in_folder(lambda folder: _take_answer(folder, name))
            now = time.monotonic()
            if answer is not None or now > deadline:
                return answer
            if now > check_at:
                deadline, check_at = self._as_long_as_it_lives(deadline), now + CHECK_S
            pause_s = min(1.5 * pause_s, LOOK_S)

    def _withdraw(self, name: str) -> bool:
        """Whether the run has not taken a command, and now never will."""
        return self._in_folder(lambda folder: private.remove(folder, name))

    def _by_socket(self, text: bytes, deadline: float, timeout_s: float) -> dict[str, Any] | None:
        """The answer; None if there is no socket that lets us in."""
        connections = self._connected()
        if connections is None:
            return None
        connection = connections.take(min(CONNECT_S, timeout_s))
        if connection is None:
            self._connections, self._avoid_until = None, time.monotonic() + AVOID_S
            return None
        try:
            connection.send(text)
            answer = self._receive(connection, deadline, timeout_s)
        except BaseException:
            connection.close()  # an answer that comes late is nobody's
            raise
        connections.give_back(connection)
        return answer

    def _receive(self, connection: SocketConnection, deadline: float, timeout_s: float) -> dict[str, Any]:
        is_taken = None
        while (left_s := deadline - time.monotonic()) > 0:
            is_lost = connection.is_lost
            came = connection.receive(min(left_s, CHECK_S))
            if came:
                return json.loads(came)
            if came is not None:
                is_taken = True
            elif is_lost:
                self._check_alive()
                raise NoAnswer(f"{self._run.path}: the connection was lost; {FATES[is_taken]}", is_taken)
            else:
                deadline = self._as_long_as_it_lives(deadline)
        self._check_alive()
        raise self._no_answer(timeout_s, is_taken)

    def _connected(self) -> Connections | None:
        """Connections to the socket, as far as there is one that can be reached from this machine."""
        if self._connections and not self._connections.is_of_this_process:
            self._connections = None
        if self._connections is None and time.monotonic() > self._avoid_until:
            self._connections = self._in_folder(_connections)
        return self._connections

    def _current(self) -> Path:
        """Where the run is written: a run that goes on writes beside its old results, until it has more."""
        resumed = attempt(self._run)
        return (resumed if resumed.shard_folder.is_dir() else self._run).path

    def _in_folder(self, act: Callable[[int], Found]) -> Found:
        """What ``act`` brings, given the open control folder; what the system refuses becomes a ChannelError."""
        try:
            with private.opened(self._current()) as run, private.opened_in(run, CONTROL) as folder:
                return act(folder)
        except OSError as error:
            raise ChannelError(f"{self._run.path}: {why_not(self._run, error)}") from None

    def _check_alive(self) -> None:
        if not living_owner(RunFolder(self._current())):
            raise ChannelError(f"{self._run.path}: {how_it_ended(self._run)}")

    def _as_long_as_it_lives(self, deadline: float) -> float:
        """``deadline``, or an earlier one: a run that has ended answers soon or never."""
        lives = living_owner(RunFolder(self._current()))
        return deadline if lives else min(deadline, time.monotonic() + LAST_WORDS_S)

    def _no_answer(self, timeout_s: float, taken: bool | None) -> NoAnswer:
        return NoAnswer(f"{self._run.path}: no answer within {timeout_s:g} s; {FATES[taken]}", taken)


def _read(folder: int, name: str) -> bytes:
    """A file of the run in its control folder; nothing if it is not there."""
    try:
        return private.read(folder, name)
    except FileNotFoundError:
        return b""


def _take_answer(folder: int, name: str) -> bytes | None:
    """The answer to the command ``name``, which is then gone; None as long as there is none."""
    with private.opened_in(folder, ANSWERS) as answers:
        if name not in os.listdir(answers):
            return None
        answer = private.read(answers, name)
        private.remove(answers, name)
        return answer


def _connections(folder: int) -> Connections | None:
    """To the socket of which the control folder tells; None if there is none, or none for this machine."""
    address, keys = _read(folder, SOCKET), _read(folder, KEYS)
    endpoint = _reachable(**json.loads(address)) if address and keys else None
    if endpoint is None:
        return None
    try:
        from cosim.control.sockets import ClientKeys, Connections
    except ImportError:  # pyzmq is not installed on this side: files do
        return None
    return Connections(endpoint, ClientKeys.from_json(keys))


def _reachable(endpoint: str, host: str) -> str | None:
    """``endpoint`` of a run on ``host`` as seen from this machine."""
    address, port = check_endpoint(endpoint)
    is_here = host == platform.node()
    if ipaddress.ip_address(address).is_loopback and not is_here:
        return None
    if ipaddress.ip_address(address).is_unspecified:
        return f"tcp://{'127.0.0.1' if is_here else host}:{port}"
    return endpoint
