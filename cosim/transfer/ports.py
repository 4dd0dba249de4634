# SPDX-License-Identifier: GPL-2.0-or-later
"""Values of ports by name: which there are, and how they are set and held from outside of transfer functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from cosim.errors import nearest

Ports = Mapping[str, object]


def values_of(port: object) -> list[str]:
    """The names of what can be read of a port, without its methods."""
    if isinstance(port, BaseModel):
        return [*type(port).model_fields]
    return [name for name in dir(port) if not name.startswith("_") and not callable(getattr(type(port), name, None))]


class SteeredPorts:
    """Sets and holds values of ``ports``; what is refused is found on ``spare`` ports, which stand alone."""

    def __init__(self, ports: Ports, spare: Callable[[], Ports]) -> None:
        self._ports, self._spare = ports, spare
        self.held: dict[tuple[str, str], object] = {}
        """Values by port and attribute."""

    def set(self, port: str, attribute: str, value: object) -> None:
        """Set a value. Raises ValueError with what is allowed."""
        if not isinstance(port, str) or port not in self._ports:
            raise ValueError(f"unknown port {port!r}; {nearest(str(port), self._ports)}")
        spare = self._spare()[port]
        known = values_of(spare)
        if attribute not in known:
            raise ValueError(f"{port} has no {attribute!r}; {nearest(str(attribute), known)}")
        try:
            _write(spare, attribute, value)
            if not isinstance(spare, BaseModel):
                _refuse_what_is_no_number(value)
        except Exception as error:  # a kind of port may be the user's own
            where, told = f"{port}.{attribute} = ", _told(error)
            raise ValueError(told if told.startswith(where) else f"{where}{value!r}: {told}") from None
        _write(self._ports[port], attribute, value)

    def send(self, port: str, times_ms: object, neurons: object = None) -> None:
        """Send spikes through a port that can. Raises ValueError, and sends none of them, for what it refuses."""
        senders = {name: each for name, each in self._ports.items() if callable(getattr(each, "send", None))}
        if port not in senders:
            none = "there is no spike_injector"
            raise ValueError(f"{port} sends no spikes: {nearest(port, senders) if senders else none}")
        sender: Any = senders[port]
        sender.send(times_ms, neurons)

    def hold(self, port: str, attribute: str, value: object) -> None:
        """Set a value, and again whenever `write_held` is called. Raises ValueError as `set`."""
        self.set(port, attribute, value)
        self.held[port, attribute] = value

    def release(self, port: str, attribute: str) -> None:
        """Hold a value no longer; it stays until it is set. Raises ValueError if it is not held."""
        if [port, attribute] not in map(list, self.held):  # names may come as anything
            held = ", ".join(".".join(each) for each in self.held) or "none"
            raise ValueError(f"{port}.{attribute} is not held; held: {held}")
        del self.held[port, attribute]

    def write_held(self) -> None:
        """Set all that is held."""
        for (port, attribute), value in self.held.items():
            _write(self._ports[port], attribute, value)


def _refuse_what_is_no_number(value: object) -> None:
    """Raises ValueError. Values come from outside of Python, as numbers or lists of them; some ports take any."""
    if isinstance(value, (list, tuple)):
        for each in value:
            _refuse_what_is_no_number(each)
    elif isinstance(value, np.ndarray):
        _refuse_what_is_no_number(value.tolist())
    elif not isinstance(value, (int, float)) or not -math.inf < value < math.inf:
        raise ValueError("must be a finite number, or a list of them")


def _write(port: object, attribute: str, value: object) -> None:
    """Set a value the way that its port offers. Raises what the port raises, and ValueError."""
    if isinstance(port, BaseModel):  # frozen, so that no transfer function changes it unseen
        checked = type(port).model_validate({**dict(port), attribute: value})
        port.__dict__[attribute] = getattr(checked, attribute)
    elif getattr(getattr(type(port), attribute, None), "fset", None):
        setattr(port, attribute, value)
    elif isinstance(current := getattr(port, attribute), np.ndarray) and current.flags.writeable:
        current[...] = value
    elif isinstance(current, (int, float)) and not isinstance(getattr(type(port), attribute, None), property):
        if not isinstance(value, (int, float)):
            raise ValueError("must be one number")
        setattr(port, attribute, value)
    else:
        raise ValueError("it can only be read")


def _told(error: Exception) -> str:
    """What is wrong, in one line."""
    text = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return " ".join(text.split())
