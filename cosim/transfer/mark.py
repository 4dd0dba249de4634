# SPDX-License-Identifier: GPL-2.0-or-later
"""``@transfer_function``: which functions of a file are called, when, and in which order."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, overload

_MARK = "_cosim_transfer_function"

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Mark:
    """When a function is called, and where in the order; see `transfer_function`."""

    every_ms: float | None = None
    when: str | None = None
    max_hz: float | None = None
    priority: float = 0

    @property
    def is_always_due(self) -> bool:
        """Whether the function is called at every coupling step."""
        return self.every_ms is None and self.when is None and self.max_hz is None

    def decorator(self) -> str:
        """The line of a file that makes this mark."""
        given = [f"{name}={value!r}" for name, value in asdict(self).items() if value not in (None, 0)]
        return f"@transfer_function({', '.join(given)})" if given else "@transfer_function"


@overload
def transfer_function(function: Function, /) -> Function: ...
@overload
def transfer_function(
    *, every_ms: float | None = None, when: str | None = None, max_hz: float | None = None, priority: float = 0
) -> Callable[[Function], Function]: ...
def transfer_function(function=None, /, *, every_ms=None, when=None, max_hz=None, priority=0):
    """Mark a function of ``transfer.py`` to be called at every coupling step, or less often.

    Its parameters are ports, found by name; it can still be called by hand, for instance in a test:

    Examples:
        >>> from types import SimpleNamespace
        >>> from cosim import transfer_function
        >>> @transfer_function
        ... def see(light_sensors, left_light):
        ...     left_light.rate_hz = 4000.0 * light_sensors.left
        >>> source = SimpleNamespace(rate_hz=0.0)
        >>> see(SimpleNamespace(left=0.25), source)
        >>> source.rate_hz
        1000.0

    Whether it is due is decided by model time and by what was read, so a run repeats itself. All conditions that are
    given must hold:

    Args:
        every_ms: call it at 0 ms and at each multiple of this time, which must be a multiple of the coupling step.
        when: call it at those ends of steps at which this is true: a port, such as a sink, or, written with a dot, a
            value of a port, such as ``"contacts.touching"``. A number is true unless it is 0, an array if any of its
            numbers is not 0.
        max_hz: call it at most so often: the time since its last call is at least 1000 / max_hz ms.
        priority: functions of higher priority are called before those of lower; of the same, in the order of the file.

    Raises:
        TypeError: a generator or a coroutine, of which a call would do nothing; a setting that is no number or text.
        ValueError: a time or a frequency that is not above 0.
    """
    mark = Mark(every_ms, when, max_hz, priority)
    return _set(function, mark) if function is not None else lambda function: _set(function, mark)


def mark_of(value: object) -> Mark | None:
    """The mark of a function; None of anything else."""
    mark = getattr(value, _MARK, None) if callable(value) else None
    return mark if isinstance(mark, Mark) else None


def _set(function: Function, mark: Mark) -> Function:
    name = getattr(function, "__name__", repr(function))
    kinds = (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    if not callable(function) or any(is_kind(function) for is_kind in kinds):
        raise TypeError(f"{name}: a transfer function must be a plain function, without yield and async")
    _check(name, mark)
    setattr(function, _MARK, mark)
    return function


def _check(name: str, mark: Mark) -> None:
    """Raises TypeError or ValueError for settings that make no sense whatever the experiment is."""
    if not (mark.when is None or isinstance(mark.when, str)):
        raise TypeError(f"{name}: when = {mark.when!r}: must be the name of a port or of its value, in quotes")
    for key in ("every_ms", "max_hz", "priority"):
        value = getattr(mark, key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{name}: {key} = {value!r}: must be a number")
        if not math.isfinite(value) or (key != "priority" and value <= 0):
            allowed = "a finite number" if key == "priority" else "a finite number above 0"
            raise ValueError(f"{name}: {key} = {value!r}: must be {allowed}")
