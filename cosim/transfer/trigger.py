# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a transfer function is due, decided by model time and by what ports say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from pydantic import BaseModel

from cosim.errors import nearest
from cosim.timegrid import is_multiple
from cosim.transfer.mark import Mark
from cosim.transfer.ports import values_of

# Times are ratios of decimal fractions: the last digits are not certain.
ROUNDING = 1e-9


class Trigger:
    """The conditions of one function, on the ports of a run."""

    def __init__(self, mark: Mark, ports: Mapping[str, object], coupling_step_ms: float) -> None:
        self._every = round(mark.every_ms / coupling_step_ms) if mark.every_ms else 1
        self._gap = math.ceil(1000 / mark.max_hz / coupling_step_ms * (1 - ROUNDING)) if mark.max_hz else 0
        self._read = _reader(mark.when, ports) if mark.when else None
        self.reset()

    def reset(self) -> None:
        """Forget when the function was called last."""
        self._last = -math.inf

    def is_due(self, step: int) -> bool:
        """Whether the function is to be called after ``step`` steps; then this counts as its last call."""
        if step % self._every or step - self._last < self._gap:
            return False
        if self._read and not is_true(self._read()):
            return False
        self._last = step
        return True


def is_true(value: object) -> bool:
    """Of an array: whether any of its numbers is not 0."""
    return bool(value.any()) if isinstance(value, np.ndarray) else bool(value)


def _reader(when: str, ports: Mapping[str, object]) -> Callable[[], object]:
    name, _, attribute = when.partition(".")
    port = ports[name]
    return (lambda: getattr(port, attribute)) if attribute else (lambda: port)


def problems(mark: Mark, ports: Mapping[str, object], coupling_step_ms: float) -> Iterator[str]:
    """What is wrong with a mark in an experiment with these ports and this coupling step."""
    if mark.every_ms and not is_multiple(mark.every_ms, coupling_step_ms):
        yield f"every_ms = {mark.every_ms:g}: must be a multiple of clock.coupling_step_ms = {coupling_step_ms:g}"
    if mark.when is not None:
        yield from (f'when = "{mark.when}": {problem}' for problem in _unreadable(mark.when, ports))


def _unreadable(when: str, ports: Mapping[str, object]) -> Iterator[str]:
    name, dot, attribute = when.partition(".")
    if name not in ports:
        yield f"unknown port {name!r}; {nearest(name, ports)}"
        return
    port = ports[name]
    values = values_of(port)
    if dot and attribute not in values:
        yield f"{name} has no {attribute!r}; {nearest(attribute, values)}"
    elif not _says_whether(getattr(port, attribute) if dot else port):
        readable = [f"{name}.{each}" for each in values if _says_whether(getattr(port, each))]
        yield f"must be a number or an array; {nearest(when, readable)}"


def _says_whether(value: object) -> bool:
    """Whether it is a thing that can be true or false; all else is true for Python."""
    is_either = hasattr(type(value), "__bool__") or hasattr(type(value), "__len__")
    return is_either and not isinstance(value, (str, BaseModel))
