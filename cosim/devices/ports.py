# SPDX-License-Identifier: GPL-2.0-or-later
"""What transfer functions see of sources and sinks: attributes that are places in the messages of a step.

A kind lists the attributes of its port:

    class AcPort(Port):
        amplitude_pa = Value(0)
        frequency_hz = Value(1, least=0.0)

The port of a group, such as ``populations = "M1_*"`` with a ``name``, has arrays in the place of numbers: a value for
each population in the order of ``port.populations``, that of one is at ``port.index(population)``. A number that is set
is set for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cosim.errors import nearest


class Port:
    """``values`` are those of one device, (size,), or of a group of such devices, (populations, size).

    A port has ``__slots__``, so that a mistyped attribute is an error.
    """

    __slots__ = ("_values", "name", "populations")

    def __init__(self, name: str, values: np.ndarray, populations: Sequence[str] = ()) -> None:
        self.name, self._values, self.populations = name, values, tuple(populations)

    def index(self, population: str) -> int:
        """The place of a population in the arrays of a group.

        Raises:
            ValueError: not one of the group's.
        """
        if population not in self.populations:
            raise ValueError(f"{self.name}: no population {population!r}; {nearest(population, self.populations)}")
        return self.populations.index(population)


class Value:
    """One value of a port, of a source unless it is read only; what is set holds until it is set again."""

    def __init__(self, place: int, least: float = -math.inf, is_read_only: bool = False, doc: str = "") -> None:
        self._place, self._least, self.is_read_only, self.__doc__ = place, least, is_read_only, doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, port: Any, owner: type | None = None) -> Any:
        if port is None:
            return self
        value = port._values[..., self._place]
        return value.copy() if value.ndim else float(value)

    def __set__(self, port: Any, value: Any) -> None:
        if self.is_read_only:
            raise AttributeError(f"{port.name}.{self._name} can only be read")
        self._refuse_others(port, value)
        fit(port._values[..., self._place], value, f"{port.name}.{self._name}")

    def _refuse_others(self, port: Any, value: Any) -> None:
        if not allowed(value, self._least):
            raise ValueError(f"{port.name}.{self._name} = {value}: must be {words(self._least)}")


class Values(Value):
    """All values of a port, an array; a number that is set is set for all of them."""

    def __init__(self, least: float = -math.inf, is_read_only: bool = False, doc: str = "") -> None:
        super().__init__(0, least, is_read_only, doc)

    def __get__(self, port: Any, owner: type | None = None) -> Any:
        return self if port is None else port._values.copy()

    def __set__(self, port: Any, value: Any) -> None:
        if self.is_read_only:
            raise AttributeError(f"{port.name}.{self._name} can only be read")
        self._refuse_others(port, value)
        fit(port._values, value, f"{port.name}.{self._name}")


def fit(place: np.ndarray, value: Any, name: str) -> None:
    """Write a value, or one for each, into its place; another number of them is a ValueError."""
    if np.shape(value) not in ((), place.shape):
        raise ValueError(f"{name}: must be a number or have the shape {place.shape}, not {np.shape(value)}")
    place[...] = value


def allowed(value: Any, least: float) -> bool:
    """Whether all that is to be set are finite numbers of at least ``least``."""
    if isinstance(value, float | int):  # as most are; numpy takes 3 us
        return least <= value < math.inf and value > -math.inf
    array = np.asarray(value)
    return array.dtype.kind in "fiu" and bool(np.isfinite(array).all() and (array >= least).all())


def words(least: float) -> str:
    """What `allowed` allows."""
    return "a finite number" if least == -math.inf else f"a finite number, {least:g} or more"
