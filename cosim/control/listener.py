# SPDX-License-Identifier: GPL-2.0-or-later
"""The run's end of the channel: the folder, always, and the socket, when somebody asks for it. Body rank."""

from __future__ import annotations

import logging
import platform
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosim.control.files import KEYS, SOCKET, FileListener
from cosim.control.gate import check_endpoint
from cosim.control.inbox import Inbox, Letter
from cosim.control.messages import encode, refusal
from cosim.errors import ConfigurationError

if TYPE_CHECKING:
    from cosim.control.sockets import SocketListener

log = logging.getLogger("cosim")

LOOPBACK = "tcp://127.0.0.1:*"
OPEN_SOCKET = "open_socket"


class Listener:
    """Brings commands to an inbox. The threads behind it never call MPI, and nothing that is sent ends them."""

    def __init__(self, run: Path, inbox: Inbox, endpoint: str | None = None) -> None:
        """Make ``run/control``, and open the socket if ``endpoint`` says where.

        Raises:
            ConfigurationError: the folder cannot be made or is not private; the socket cannot be opened.
        """
        self._inbox = inbox
        self._socket: SocketListener | None = None
        self._opening = threading.Lock()
        self._files = FileListener(run, self._deliver)
        if endpoint:
            try:
                self.open_socket(endpoint)
            except ConfigurationError:
                self.close()
                raise

    def open_socket(self, endpoint: str = LOOPBACK) -> str:
        """Listen for commands there, too, and write ``socket.json`` and ``keys``; returns the endpoint with its port.

        A socket that is open already stays where it is. Raises ConfigurationError.
        """
        with self._opening:
            if not self._socket:
                self._socket = _socket_listener(endpoint, self._deliver)
            address = {"endpoint": self._socket.endpoint, "host": platform.node()}
            try:
                self._files.write(KEYS, self._socket.client_keys.to_json())
                self._files.write(SOCKET, encode(address))
            except OSError as error:
                raise ConfigurationError(f"socket {endpoint}: its keys cannot be written: {error.strerror}") from None
            return self._socket.endpoint

    def expect(self) -> None:
        """The run stands still until a command comes."""
        self._files.expect()

    def close(self) -> None:
        """Answer what nobody took, let clients fetch their answers, and remove the folder."""
        for each in self._ways():
            each.stop()
        while letter := self._inbox.take():
            letter.answer(refusal("the run has ended") | {"state": "ended"})
        for each in self._ways():
            each.close()

    def _ways(self) -> list[FileListener | SocketListener]:
        return [self._files, self._socket] if self._socket else [self._files]

    def _deliver(self, letter: Letter) -> None:
        if letter.command["command"] == OPEN_SOCKET:
            letter.answer(self._opened(letter.command))
        else:
            self._inbox.put(letter)

    def _opened(self, command: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"ok": True, "endpoint": self.open_socket(str(command.get("endpoint", LOOPBACK)))}
        except ConfigurationError as error:
            return refusal(error)


def listen(run: Path, inbox: Inbox, endpoint: str | None, is_needed: bool) -> Listener | None:
    """A `Listener`; None where its folder cannot be private, as on drives that give all files one mode.

    Raises:
        ConfigurationError: there can be none, but somebody asked for steering (``is_needed``) or for a socket.
    """
    try:
        return Listener(run, inbox, endpoint)
    except ConfigurationError as error:
        if is_needed or endpoint:
            raise
        log.warning("this run takes no commands: %s", error)
        return None


def _socket_listener(endpoint: str, deliver: Callable[[Letter], None]) -> SocketListener:
    check_endpoint(endpoint)
    try:
        from cosim.control.sockets import SOCKET_ERRORS, SocketListener
    except ImportError:
        raise ConfigurationError(f"socket {endpoint}: needs pyzmq: pip install 'cosim[steer]'") from None
    try:
        return SocketListener(endpoint, deliver)
    except SOCKET_ERRORS as error:
        raise ConfigurationError(f"socket {endpoint}: {error.strerror}") from None
