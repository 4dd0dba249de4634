# SPDX-License-Identifier: GPL-2.0-or-later
"""Which neurons are meant: a population by name or shell pattern, or a part of it as in ``E[0:100]`` or ``E[-1]``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from cosim.network.names import ALLOWED, as_name, is_pattern

_PART = re.compile(r"(?P<name>.*)\[(?P<part>-?\d+|-?\d*(:-?\d*){1,2})\]")


@dataclass(frozen=True)
class Address:
    """Populations that match ``pattern``; of each the neurons ``range(size)[part]``, counted from 0."""

    pattern: str
    start: int | None = None
    stop: int | None = None
    step: int | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``NAME``, ``NAME[index]`` or ``NAME[start:stop:step]`` as Python does.

        Raises:
            ValueError: a name that no population has, or a step of zero or less, which would turn the order round.
        """
        if not is_pattern(text):
            meant = as_name(text.partition("[")[0])
            raise ValueError(f"{text!r}: populations are called by {ALLOWED}; what a script calls so is {meant} here")
        match = _PART.fullmatch(text)
        if match is None:
            return cls(text)
        first, *others = match["part"].split(":")
        if not others:
            index = int(first)
            return cls(match["name"], index, index + 1 if index != -1 else None)
        address = cls(match["name"], *(int(number) if number else None for number in (first, *others)))
        if address.step is not None and address.step < 1:
            raise ValueError(f"{text!r}: the step is {address.step}, must be 1 or more")
        return address

    @property
    def is_pattern(self) -> bool:
        """Whether it may mean several populations."""
        return any(each in self.pattern for each in "*?[")

    @property
    def part(self) -> slice:
        """Which neurons of a population; all of them for a mere name."""
        return slice(self.start, self.stop, self.step)

    def matches(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that are meant, in their order."""
        return [name for name in names if fnmatchcase(name, self.pattern)]

    def size(self, population_size: int) -> int:
        """Number of neurons meant in a population of this size."""
        return len(range(population_size)[self.part])


def union(parts: Sequence[range | np.ndarray]) -> range | np.ndarray:
    """The places in any of ``parts``, each once and in ascending order; a range if one holds all others.

    Steps are positive.
    """
    ranges = [part for part in parts if isinstance(part, range)]
    if len(ranges) == len(parts):
        widest = max(ranges, key=len)
        if all(_holds(widest, part) for part in ranges):
            return widest
    return np.unique(np.concatenate([as_array(part) for part in parts]))


def as_array(places: range | np.ndarray) -> np.ndarray:
    """Places as an array, (n,); an array stays what it is."""
    return np.arange(places.start, places.stop, places.step) if isinstance(places, range) else places


def _holds(whole: range, part: range) -> bool:
    ends_are_in = not part or (part[0] in whole and part[-1] in whole)
    return ends_are_in and (len(part) < 2 or part.step % whole.step == 0)


def places(addresses: Iterable[Address], sizes: Mapping[str, int]) -> dict[str, range | np.ndarray]:
    """Of each population that ``addresses`` mean the places of its neurons, each once.

    Patterns are names of populations, ``sizes`` their neurons.
    """
    parts: dict[str, list[range]] = {}
    for address in addresses:
        parts.setdefault(address.pattern, []).append(range(sizes[address.pattern])[address.part])
    return {name: union(of_population) for name, of_population in parts.items()}


def number_of_places(addresses: Iterable[Address], sizes: Mapping[str, int]) -> int:
    """How many neurons ``addresses`` mean in all."""
    return sum(map(len, places(addresses, sizes).values()))
