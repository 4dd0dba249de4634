# SPDX-License-Identifier: GPL-2.0-or-later
"""A loop in another process on the body rank's machine that takes part in every step, after the transfer functions.

Its program listens on a Unix socket and names it by a command. The body rank connects, makes memory that both share and
hands it over. Then, at the end of every step, it writes readout, stimulus and all numbers of the body's ports there and
says so by a message; it waits until the program says that it has written what it wants, and takes over what differs. A
program that dies closes the socket: the run stands still then. What was written is recorded, and written again when the
run is resumed.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import select
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cosim.control.drive_layout import ENDED, GO, LEAVE, MOST_BYTES, REFUSED, STATE, STIMULUS, Layout, properties
from cosim.errors import CommandError
from cosim.record.drive import Written
from cosim.transfer import StimulusMaker

if TYPE_CHECKING:
    from cosim.parallel.exchange import Exchange
    from cosim.parallel.stop import StopSign

log = logging.getLogger("cosim")

CONNECT_S, LOOK_S = 5.0, 0.25


class DriveRecorder(Protocol):
    """Keeps what was written."""

    def append(self, step: int, written: Written, columns: Sequence[str]) -> None:
        """Record all values that may be written, after ``step`` steps, and what each is."""


class DrivenFunctions:
    """Transfer functions, and after them a loop in another process while there is one. Body rank.

    ``recorded`` are the values that a loop wrote in a run that is resumed, by step: they are written again.
    """

    def __init__(
        self,
        functions: StimulusMaker,
        exchange: Exchange,
        sources: Mapping[str, object],
        body: Mapping[str, object],
        recorder: DriveRecorder,
        recorded: Mapping[int, Written] = MappingProxyType({}),
    ) -> None:
        self.names, self._functions = functions.names, functions
        self._exchange, self._sources, self._body = exchange, sources, body
        self._recorder, self._recorded = recorder, recorded
        self.leave: Callable[[], None] = lambda: None
        """Called when a loop has ended: the run is to stand still."""
        self._link: LoopLink | None = None
        self._handed_over = -1

    @cached_property
    def layout(self) -> Layout:
        """What is shared; only for runs with a loop, as a port of the body may take its time."""
        return Layout.of(len(self._exchange.readout), len(self._exchange.stimulus), self._body)

    def apply(self, step: int) -> None:
        """Call the transfer functions after ``step`` steps, then let the loop write what it wants."""
        self._functions.apply(step)
        if self._link or self._recorded:
            self.hand_over(step, in_round=False)

    def begin(self, path: str, stop: StopSign) -> None:
        """Connect with the program that listens at ``path``.

        Raises:
            CommandError: there is a loop already, or nobody listens on this machine.
        """
        if self._link and self._link.is_gone:
            self.close()
        if self._link:
            raise CommandError("drive: another loop takes part already; only one can")
        self._link = LoopLink(path, self.layout, stop)

    def hand_over(self, step: int, in_round: bool = True) -> None:
        """Let the loop, or the record of one, write after ``step`` steps; once for each step."""
        recorded = self._recorded.get(step)
        if recorded and recorded.in_round == in_round:
            before = self._show(np.zeros(self.layout.size))
            self._take_over(before, recorded.values)
            self._recorder.append(step, recorded, self.layout.columns)
        elif self._link and self._handed_over != step and not recorded:
            self._handed_over = step
            self._ask(step, in_round, self._show(self._link.memory))

    def close(self) -> None:
        """Tell the program that the run has ended."""
        if self._link:
            self._link.close()
            self._link = None

    def _show(self, memory: np.ndarray) -> np.ndarray:
        """Fill the memory; returns what may be written, as it is before."""
        views = self.layout.views(memory)
        views["readout", ""][:] = self._exchange.readout
        views[STIMULUS, ""][:] = self._exchange.stimulus
        for port, attribute in views:
            if attribute:
                views[port, attribute][...] = getattr(self._body[port], attribute)
        return self.layout.written(memory).copy()

    def _ask(self, step: int, in_round: bool, before: np.ndarray) -> None:
        assert self._link is not None
        written = self.layout.written(self._link.memory)
        message = STATE + step.to_bytes(8, "little")
        while (reply := self._link.ask(message)) in (GO, LEAVE):
            try:
                values = written.copy()
                self._take_over(before, values)
                self._recorder.append(step, Written(in_round, values), self.layout.columns)
                break
            except ValueError as error:
                written[:] = before
                message = REFUSED + str(error).encode()[: MOST_BYTES - 1]
        if reply != GO:
            self.close()
            if reply == b"":
                log.warning("the program whose loop took part in every step has gone: the run stands still")
            self.leave()

    def _take_over(self, before: np.ndarray, values: np.ndarray) -> None:
        """Set what differs from ``before``, all that may be written.

        Raises:
            ValueError: some of it is no allowed value; nothing has changed.
        """
        try:
            self._set_all(before, values)
        except ValueError:
            self._set_all(values, before)
            raise

    def _set_all(self, before: np.ndarray, values: np.ndarray) -> None:
        start = 0
        for field in self.layout.settable:
            part = slice(start, start + field.size)
            start += field.size
            if values[part].tobytes() != before[part].tobytes():
                self._set(field.port, field.attribute, values[part].reshape(field.shape))

    def _set(self, port: str, attribute: str, values: np.ndarray) -> None:
        if attribute:
            setattr(self._body[port], attribute, values if values.shape else float(values))
            return
        counts = [each.place for each in self._exchange.lists.sources] if self._exchange.lists else []
        values[counts] = self._exchange.stimulus[counts]  # of spikes that are sent one by one, by transfer functions
        self._exchange.stimulus[:] = values
        self._check_sources()

    def _check_sources(self) -> None:
        """Ports of sources refuse what is no value for them: each is set to what it now has."""
        if not np.isfinite(self._exchange.stimulus).all():
            raise ValueError("stimulus: must be finite numbers")
        for port in self._sources.values():
            for attribute, is_settable in properties(port):
                if is_settable:
                    setattr(port, attribute, getattr(port, attribute))


class LoopLink:
    """The way to the program of a loop, and the memory that is shared with it."""

    def __init__(self, path: str, layout: Layout, stop: StopSign) -> None:
        self._stop = stop
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(CONNECT_S)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            here = f"must be a program that listens on this machine, {socket.gethostname()}"
            raise CommandError(f"drive {path}: {error.strerror or error}: {here}") from None
        self._socket.settimeout(None)
        descriptor = os.memfd_create("cosim-drive", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, max(1, 8 * layout.size))
        self._memory = mmap.mmap(descriptor, max(1, 8 * layout.size))
        self.memory = np.frombuffer(self._memory, count=layout.size)
        socket.send_fds(self._socket, [json.dumps({"size": layout.size}).encode()], [descriptor])
        os.close(descriptor)

    @property
    def is_gone(self) -> bool:
        """Whether the program has closed its end."""
        poll = select.poll()
        poll.register(self._socket, 0)
        return bool(poll.poll(0))

    def ask(self, message: bytes) -> bytes | None:
        """Send a message and wait for the reply: empty if the program has gone, None if the run has to stop."""
        try:
            self._socket.send(message)
            while not self._stop:
                if select.select([self._socket], [], [], LOOK_S)[0]:
                    return self._socket.recv(MOST_BYTES)
        except OSError:
            return b""
        return None

    def close(self) -> None:
        with suppress(OSError):
            self._socket.send(ENDED)
        self._socket.close()
