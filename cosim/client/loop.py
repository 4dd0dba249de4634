# SPDX-License-Identifier: GPL-2.0-or-later
"""A loop of one's own that takes part in every step of a run, by memory that both share (see `cosim.control.drive`)."""

from __future__ import annotations

import mmap
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from cosim.client.held_run import HeldRun
from cosim.control.drive_layout import (
    GO,
    LEAVE,
    MOST_BYTES,
    READOUT,
    REFUSED,
    STATE,
    STIMULUS,
    Field,
    Layout,
)
from cosim.devices.devices import Devices, SpikeLists, make_ports
from cosim.errors import RunError

CONNECT_S = 10.0
# A run that waits for a loop hears at once that it leaves.
LEAVE_S = 0.5


class LoopStep:
    """A run between two steps, as a loop of one's own sees it; what it writes acts in the coming step.

    Everything is there once and is written anew in every step: take copies of what is to be kept.

    Attributes:
        number: steps done.
        t_ms: time of the model.
        readout: (values of all sinks,) float64, of the step that is over.
        stimulus: (values of all sources,) float64, for the coming step: what transfer functions set, unless it is
            written.
        ports: the ports of sinks and sources, by name, as in transfer functions; but not of those that exchange spikes
            one by one.
        body: the ports of the body, by name or attribute, with all numbers in them.
        writable: (n,) float64, all that may be written: the stimulus and the commands to the body.
    """

    def __init__(self, layout: Layout, memory: np.ndarray, devices: Devices, step_ms: float) -> None:
        views = layout.views(memory)
        self.readout, self.stimulus = views[READOUT, ""], views[STIMULUS, ""]
        self.readout.flags.writeable = False
        self.ports = _ports(devices, self.readout, self.stimulus)
        self.body, self.writable = LoopBody(layout, views), layout.written(memory)
        self.number, self._step_ms = 0, step_ms

    @property
    def t_ms(self) -> float:
        return self.number * self._step_ms

    def __repr__(self) -> str:
        return f"<step {self.number} at {self.t_ms:g} ms: ports {', '.join(self.ports)}; body {', '.join(self.body)}>"


def _ports(devices: Devices, readout: np.ndarray, stimulus: np.ndarray) -> dict[str, object]:
    """Those of values; lists of spikes are not shared."""
    lists = SpikeLists(devices, np.zeros(len(readout)), np.zeros(len(stimulus)))
    listed = {each.name for each in (*lists.sinks, *lists.sources)}
    ports = make_ports(devices, readout, stimulus, lists)
    return {name: port for name, port in ports.items() if name not in listed}


class LoopBody(Mapping[str, "LoopPort"]):
    """The ports of the body in a loop, by name: ``body["muscles"]`` or ``body.muscles``."""

    def __init__(self, layout: Layout, views: Mapping[tuple[str, str], np.ndarray]) -> None:
        fields: dict[str, dict[str, tuple[Field, np.ndarray]]] = {}
        for field in layout.fields:
            if field.attribute:
                fields.setdefault(field.port, {})[field.attribute] = field, views[field.port, field.attribute]
        self._ports = {name: LoopPort(name, of_port) for name, of_port in fields.items()}

    def __getitem__(self, name: str) -> LoopPort:
        return self._ports[name]

    def __getattr__(self, name: str) -> LoopPort:
        if name not in self._ports:
            raise AttributeError(f"the body has no port {name!r}; there are {', '.join(self._ports) or 'none'}")
        return self._ports[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ports)

    def __len__(self) -> int:
        return len(self._ports)


class LoopPort:
    """A port of the body in a loop: ``joints.angle_rad`` is an array, ``joints["elbow"].angle_rad`` a number of it."""

    _known: tuple[str, Mapping[str, tuple[Field, np.ndarray]], str | None]

    def __init__(self, name: str, fields: Mapping[str, tuple[Field, np.ndarray]], entry: str | None = None) -> None:
        object.__setattr__(self, "_known", (name, fields, entry))

    def __getitem__(self, entry: str) -> LoopPort:
        name, fields, _ = self._known
        named = {key: (field, view) for key, (field, view) in fields.items() if field.names}
        names = next((field.names for field, _ in named.values()), ())
        if entry not in names:
            raise KeyError(f"{name}: no {entry!r}; there are {', '.join(names) or 'no names'}")
        return LoopPort(name, named, entry)

    def __getattr__(self, attribute: str) -> np.ndarray | float:
        field, view = self._find(attribute)
        entry = self._known[2]
        if entry is not None:
            return float(view[field.names.index(entry)])
        return view if field.shape else float(view)

    def __setattr__(self, attribute: str, value: Any) -> None:
        field, view = self._find(attribute)
        name, _, entry = self._known
        if not field.is_settable:
            raise AttributeError(f"{name}.{attribute} is a sensor: it cannot be set")
        if entry is not None:
            view[field.names.index(entry)] = value
        elif np.shape(value) not in ((), field.shape):
            raise ValueError(f"{name}.{attribute}: must be a number or have shape {field.shape}, not {np.shape(value)}")
        else:
            view[...] = value

    def _find(self, attribute: str) -> tuple[Field, np.ndarray]:
        name, fields, _ = self._known
        if attribute not in fields:
            raise AttributeError(f"{name} has no {attribute!r}; there are {', '.join(fields)}")
        return fields[attribute]

    def __dir__(self) -> list[str]:
        return [*self._known[1]]

    def __repr__(self) -> str:
        name, _, entry = self._known
        values = ", ".join(f"{key}={getattr(self, key)}" for key in dir(self))
        return f"<{name}{'' if entry is None else f'[{entry!r}]'}: {values}>"


class Partner:
    """This program's end of the connection with the body rank: messages, and the memory that both share."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cosim-loop-")  # of mode 0700
        self.path = f"{self._folder.name}/socket"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(self.path)
        self._socket.listen(1)
        self._socket.settimeout(CONNECT_S)

    def meet(self, size: int) -> np.ndarray:
        """The memory, (size,) float64, when the body rank has connected."""
        listener = self._socket
        self._socket, _ = listener.accept()
        listener.close()
        self._folder.cleanup()
        self._socket.settimeout(None)
        _, descriptors, _, _ = socket.recv_fds(self._socket, MOST_BYTES, 1)
        memory = mmap.mmap(descriptors[0], max(1, 8 * size))
        os.close(descriptors[0])
        return np.frombuffer(memory, count=size)

    def hear(self) -> bytes:
        """The next message; empty if the body rank has gone."""
        try:
            return self._socket.recv(MOST_BYTES)
        except ConnectionError:
            return b""

    def say(self, message: bytes) -> None:
        """Send a message, if there is still somebody."""
        with suppress(OSError):
            self._socket.send(message)

    def leave(self) -> None:
        """Say so, wait until what was written was taken over, and close.

        A run that stands still does not hear it: it finds that nobody is there any more when it goes on.
        """
        self.say(LEAVE)
        self._socket.settimeout(LEAVE_S)
        with suppress(TimeoutError):
            self.hear()
        self.close()

    def close(self) -> None:
        """Leave without a word; a second call does nothing."""
        self._socket.close()
        self._folder.cleanup()


class OwnLoop:
    """The part that a loop takes in a run; ``for step in run`` makes one.

    ``with run.loop() as loop:`` has ``loop.step``, the state now, and ``loop.advance()``, which lets the run do a step
    with what was written. After the block the run does one more step, with what was written last, and stands still.
    """

    def __init__(self, run: HeldRun) -> None:
        self._run, self._is_over = run, False

    def __enter__(self) -> OwnLoop:
        if self._run.state != "paused":
            self._run.pause()
        self._partner = Partner()
        try:
            self._begin()
        except BaseException:
            self._partner.close()
            raise
        return self

    def _begin(self) -> None:
        layout = Layout.from_json(self._run.send({"command": "drive", "name": self._partner.path})["layout"])
        memory = self._partner.meet(layout.size)
        self.step = LoopStep(layout, memory, self._run.devices, self._run.step_ms)
        self._run.send({"command": "go"})
        self._run.driven = self.step
        self._await_state()

    @property
    def is_over(self) -> bool:
        """Whether the run takes no further step."""
        return self._is_over

    def advance(self) -> LoopStep:
        """Let the run do a step with what was written; returns the state after it.

        Raises:
            ValueError: what was written is not allowed; it was taken back, and no step was done.
            RunError: the run has ended, or has no step left.
        """
        if self._is_over:
            raise RunError(f"{self._run.folder}: the run takes no further step")
        self._partner.say(GO)
        self._await_state()
        return self.step

    def _await_state(self) -> None:
        message = self._partner.hear()
        if message[:1] == REFUSED:
            raise ValueError(message[1:].decode(errors="replace"))
        if message[:1] != STATE:
            self._is_over = True
            raise RunError(f"{self._run.folder}: the run has ended{self._run.why_ended()}")
        self.step.number = int.from_bytes(message[1:], "little")
        self._is_over = self.step.number >= self._run.steps

    def __exit__(self, *_: object) -> None:
        self._run.driven = None
        self._partner.leave()
        with suppress(RunError):  # it has ended
            self._run.wait()
