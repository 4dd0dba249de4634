# SPDX-License-Identifier: GPL-2.0-or-later
"""The door to a run's socket: lets so many connections through and no more.

ZeroMQ accepts whoever comes, each with a file descriptor and memory, before it knows whether it may stay; a program
gone wild could take all descriptors of the run. This thread accepts in its place and passes bytes on, unseen. While the
house is full it accepts nobody, and the kernel turns newcomers away.
"""

from __future__ import annotations

import re
import selectors
import socket
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial

from cosim.errors import ConfigurationError

CONNECTIONS = 32
# Who comes and goes at once is let in no more often than this, or he would keep this thread busy.
PAUSE_S = 0.01
PIECE_BYTES = 65536
# Whoever does not take what it asked for is shown out.
STALLED_S = 1.0
# Answers under way when the gate closes still reach who asked.
FAREWELL_S = 0.5

ENDPOINT = re.compile(r"tcp://(\[[0-9a-fA-F:.]+\]|[^:/\[\]]+):(\*|\d{1,5})")


def check_endpoint(endpoint: str) -> tuple[str, int]:
    """Host and port of an endpoint such as ``tcp://127.0.0.1:*``, where ``*`` is any free port, 0.

    Raises:
        ConfigurationError: it is no such endpoint.
    """
    match = ENDPOINT.fullmatch(endpoint)
    port = 0 if not match or match[2] == "*" else int(match[2])
    if not match or port > 65535:
        raise ConfigurationError(f"socket {endpoint}: must be tcp://HOST:PORT, or * for a free port")
    return match[1].strip("[]"), port


def listen_at(endpoint: str) -> socket.socket:
    """A socket that listens there. Raises ConfigurationError."""
    host, port = check_endpoint(endpoint)
    try:
        found = socket.getaddrinfo(
            None if host == "*" else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, *_, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=CONNECTIONS)
    except OSError as error:
        reason = str(error.strerror).split(" (while")[0]  # the address is told already
        raise ConfigurationError(f"socket {endpoint}: {reason}") from None


class Gate:
    """Passes connections to ``listening`` on to a local socket, ``inner``, which is a path."""

    def __init__(self, listening: socket.socket, inner: str) -> None:
        listening.setblocking(False)  # who leaves before he is let in does not stop this thread
        self._listening, self._inner = listening, inner
        self._partners: dict[socket.socket, socket.socket] = {}
        self._opens_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._end, self._ended = socket.socketpair()
        self._selector.register(self._ended, selectors.EVENT_READ)
        self._selector.register(listening, selectors.EVENT_READ, self._let_in)
        self._thread = threading.Thread(target=self._serve, name="cosim gate", daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """Where it listens, with the port that it has got."""
        host, port = self._listening.getsockname()[:2]
        return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"

    def close(self) -> None:
        """Let nobody in any more, and end all connections; best after those inside are closed."""
        deadline = time.monotonic() + FAREWELL_S
        while self._partners and time.monotonic() < deadline:
            time.sleep(PAUSE_S)
        self._end.close()
        self._thread.join()
        for each in (*self._partners, self._listening, self._ended):
            each.close()
        self._selector.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select(self._mind_door()):
                if key.data is None:
                    return
                key.data()

    def _mind_door(self) -> float | None:
        """Shut it while the house is full, and for a moment after each newcomer: returns the rest of this moment."""
        has_room = len(self._partners) < 2 * CONNECTIONS
        shut_s = self._opens_at - time.monotonic()
        is_open = self._listening in self._selector.get_map()
        if is_open and (not has_room or shut_s > 0):
            self._selector.unregister(self._listening)
        elif not is_open and has_room and shut_s <= 0:
            self._selector.register(self._listening, selectors.EVENT_READ, self._let_in)
        return shut_s if has_room and shut_s > 0 else None

    def _let_in(self) -> None:
        self._opens_at = time.monotonic() + PAUSE_S
        with ExitStack() as unless_in, suppress(OSError):  # gone again, or there are no descriptors left
            outside, _ = self._listening.accept()
            unless_in.callback(outside.close)
            inside = socket.socket(socket.AF_UNIX)
            unless_in.callback(inside.close)
            outside.settimeout(STALLED_S)
            outside.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            inside.settimeout(STALLED_S)
            inside.connect(self._inner)
            unless_in.pop_all()
            self._partners |= {outside: inside, inside: outside}
            for each in (outside, inside):
                self._selector.register(each, selectors.EVENT_READ, partial(self._pass_on, each))

    def _pass_on(self, source: socket.socket) -> None:
        if source not in self._partners:  # it left a moment ago, with its partner
            return
        try:
            piece = source.recv(PIECE_BYTES)
            self._partners[source].sendall(piece)
        except OSError:
            piece = b""
        if not piece:
            self._show_out(source)

    def _show_out(self, one: socket.socket) -> None:
        for each in (one, self._partners.pop(one)):
            self._partners.pop(each, None)
            self._selector.unregister(each)
            each.close()
