# SPDX-License-Identifier: GPL-2.0-or-later
"""A loop of one's own that takes part in every step of a run, by memory that both share (see `cosim.control.drive`)."""

from __future__ import annotations

import mmap
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cosim.control.drive_layout import (
    ENDED,
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
from cosim.devices.devices import Devices, make_ports
from cosim.errors import RunError

if TYPE_CHECKING:
    from cosim.client.live_run import LiveRun

CONNECT_S = 10.0


class LoopStep:
    """A run between two steps, as a loop of one's own sees it; what it writes acts in the coming step.

    Everything is there once and is written anew in every step: take copies of what is to be kept.

    Attributes:
        number: steps done.
        t_ms: time of the model.
        readout: (values of all sinks,) float64, of the step that is over.
        stimulus: (values of all sources,) float64, for the coming step: what transfer functions set, unless it is
            written.
        ports: the ports of sinks and sources, by name, as in transfer functions.
        body: the ports of the body, by name or attribute, with all numbers in them.
    """

    def __init__(self, layout: Layout, memory: np.ndarray, devices: Devices, step_ms: float) -> None:
        views = layout.views(memory)
        self.readout, self.stimulus = views[READOUT, ""], views[STIMULUS, ""]
        self.readout.flags.writeable = False
        self.ports = make_ports(devices, self.readout, self.stimulus)
        self.body = LoopBody(layout, views)
        self.number, self._step_ms = 0, step_ms

    @property
    def t_ms(self) -> float:
        return self.number * self._step_ms

    def __repr__(self) -> str:
        return f"<step {self.number} at {self.t_ms:g} ms: ports {', '.join(self.ports)}; body {', '.join(self.body)}>"


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


class OwnLoop:
    """The connection of a loop with a run; use it by ``for step in run`` unless the steps are to be asked for.

    ``with run.loop() as loop:`` has ``loop.step``, the state now, and ``loop.advance()``, which lets the run do a step
    with what was written. After the block the run does one more step, with what was written last, and stands still.
    """

    def __init__(self, run: LiveRun) -> None:
        self._run, self._is_over = run, False
        self._socket: socket.socket | None = None

    def __enter__(self) -> OwnLoop:
        if self._run.state != "paused":
            self._run.pause()
        with tempfile.TemporaryDirectory(prefix="cosim-loop-") as folder:  # of mode 0700
            path = Path(folder) / "socket"
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                listener.bind(str(path))
                listener.listen(1)
                listener.settimeout(CONNECT_S)
                answer = self._run.send({"command": "drive", "name": str(path)})
                self._socket, _ = listener.accept()
        layout = Layout.from_json(answer["layout"])
        self.step = LoopStep(layout, self._map(layout), self._run.devices, self._run.step_ms)
        self._run.send({"command": "go"})
        self._run._loop = self
        self._await_state()
        return self

    def _map(self, layout: Layout) -> np.ndarray:
        assert self._socket is not None
        _, descriptors, _, _ = socket.recv_fds(self._socket, MOST_BYTES, 1)
        memory = mmap.mmap(descriptors[0], max(1, 8 * layout.size))
        os.close(descriptors[0])
        return np.frombuffer(memory, count=layout.size)

    @property
    def is_over(self) -> bool:
        """Whether the run takes no further step with this loop."""
        return self._is_over

    def advance(self) -> LoopStep:
        """Let the run do a step with what was written; returns the state after it.

        Raises:
            ValueError: what was written is not allowed; it was taken back, and no step was done.
            RunError: the run has ended, or has no step left.
        """
        if self._is_over or self._socket is None:
            raise RunError(f"{self._run.folder}: the run takes no further step with this loop")
        self._socket.send(GO)
        self._await_state()
        return self.step

    def _await_state(self) -> None:
        assert self._socket is not None
        message = self._socket.recv(MOST_BYTES)
        if message[:1] == REFUSED:
            raise ValueError(message[1:].decode(errors="replace"))
        if message[:1] != STATE:
            self._is_over = True
            why = "has ended" if message[:1] == ENDED else "has gone"
            raise RunError(f"the run {why}{self._run.why_ended()}")
        self.step.number = int.from_bytes(message[1:9], "little")
        self._is_over = self.step.number >= self._run.steps

    def __exit__(self, *_: object) -> None:
        self._run._loop = None
        if self._socket:
            with suppress(OSError):
                self._socket.send(LEAVE)
            with suppress(OSError):
                self._socket.recv(MOST_BYTES)
            self._socket.close()
        with suppress(RunError):  # it has ended
            self._run.wait()
