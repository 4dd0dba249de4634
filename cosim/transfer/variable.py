# SPDX-License-Identifier: GPL-2.0-or-later
"""``variable``: what a transfer function remembers from call to call, and a reset restores."""

from __future__ import annotations

import pickle
from copy import deepcopy
from typing import Any


class Variable:
    """A memory with a ``value``. Slots, so that a mistyped attribute is an error."""

    __slots__ = ("_initial_value", "shared", "value")

    def __init__(self, initial_value: Any, shared: str | None = None) -> None:
        self._initial_value, self.shared = deepcopy(initial_value), shared
        self.reset()

    def reset(self) -> None:
        """Back to the initial value, of which it gets a copy of its own."""
        self.value = deepcopy(self._initial_value)

    def fresh(self) -> Variable:
        """Another one that has the initial value."""
        return Variable(self._initial_value, self.shared)

    def renewed(self, other: Variable) -> Variable:
        """This one, which begins as ``other`` from now on. Its value stays if that is the same kind of thing."""
        stays = _kind(self._initial_value) == _kind(other._initial_value)
        self._initial_value = other._initial_value
        if not stays:
            self.reset()
        return self

    def begins_as(self, other: Variable) -> bool:
        """Whether both have the same initial value."""
        return pickle.dumps(self._initial_value) == pickle.dumps(other._initial_value)

    def __repr__(self) -> str:
        shared = f", shared={self.shared!r}" if self.shared else ""
        return f"variable({' '.join(repr(self._initial_value).split())}{shared})"


def _kind(value: Any) -> object:
    """Numbers are of one kind, arrays of a kind for each shape, all else is of its type."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "number" if is_number else (type(value), getattr(value, "shape", None))


def variable(initial_value: Any, *, shared: str | None = None) -> Any:
    """A memory for a transfer function, as the default of a parameter. Its content is ``.value``.

    It belongs to the one function, or with ``shared="total"`` to all functions that have a variable shared under this
    name. A reset of the transfer functions gives it a copy of its initial value again; without one it has it from the
    beginning of a run.

    Examples:
        >>> from types import SimpleNamespace
        >>> from cosim import transfer_function, variable
        >>> @transfer_function
        ... def reach(error, drive, integral=variable(0.0)):
        ...     integral.value += error.angle_rad
        ...     drive.rate_hz = 100.0 * integral.value
        >>> drive = SimpleNamespace(rate_hz=0.0)
        >>> for _ in range(3):
        ...     reach(SimpleNamespace(angle_rad=0.5), drive)
        >>> drive.rate_hz
        150.0

    Raises:
        TypeError: ``initial_value`` is what Python cannot copy, such as an open file; ``shared`` is no text.
    """
    if not (shared is None or isinstance(shared, str)):
        raise TypeError(f"variable: shared = {shared!r}: must be the name under which it is shared, in quotes")
    return Variable(initial_value, shared)
