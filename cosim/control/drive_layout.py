# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run shares with a loop in another process: messages, which numbers, where they lie in the memory of both.

The memory is one array of float64: what may be read only, and behind it what may be written. Its parts are `Field`s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cosim.devices.ports import Value

READOUT, STIMULUS = "readout", "stimulus"

# Messages of one packet each. To the program: the state of the run after a step, what was refused, the end of the run.
STATE, REFUSED, ENDED = b"s", b"r", b"x"
# From the program: go on, or go on without me.
GO, LEAVE = b"g", b"l"
MOST_BYTES = 4096


@dataclass(frozen=True)
class Field:
    """An attribute of a port of the body, or one of the two messages as a whole, which have no ``attribute``.

    ``names`` are those of its entries, where they have names, such as the joints.
    """

    port: str
    attribute: str
    shape: tuple[int, ...]
    is_settable: bool
    names: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Layout:
    """All fields in the order in which they lie in the memory; those that may be written come last."""

    fields: tuple[Field, ...]

    @classmethod
    def of(cls, sinks: int, sources: int, body: Mapping[str, object]) -> Layout:
        """Of so many values from sinks and to sources, and all numbers in the ports of a body."""
        messages = [Field(READOUT, "", (sinks,), False), Field(STIMULUS, "", (sources,), True)]
        fields = [*messages, *_body_fields(body)]
        return cls(tuple(sorted(fields, key=lambda each: each.is_settable)))  # sorted() keeps the order otherwise

    @classmethod
    def from_json(cls, content: Sequence[Mapping[str, Any]]) -> Layout:
        """What `to_json` told."""
        fields = ({**each, "shape": tuple(each["shape"]), "names": tuple(each["names"])} for each in content)
        return cls(tuple(Field(**each) for each in fields))

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(each) for each in self.fields]

    @property
    def size(self) -> int:
        """Number of float64."""
        return sum(each.size for each in self.fields)

    @property
    def settable(self) -> tuple[Field, ...]:
        return tuple(each for each in self.fields if each.is_settable)

    @property
    def columns(self) -> list[str]:
        """A name for each number that may be written: ``stimulus[0]``, ``muscles.excitation[Humerus1]``."""
        return [column for field in self.settable for column in _columns(field)]

    def views(self, memory: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        """The part of ``memory`` (size,) of each field, in its shape, by port and attribute."""
        ends = np.cumsum([each.size for each in self.fields])
        parts = np.split(memory, ends[:-1])
        return {
            (each.port, each.attribute): part.reshape(each.shape) for each, part in zip(self.fields, parts, strict=True)
        }

    def written(self, memory: np.ndarray) -> np.ndarray:
        """The part of ``memory`` that may be written."""
        return memory[self.size - sum(each.size for each in self.settable) :]


def properties(port: object) -> Iterator[tuple[str, bool]]:
    """Names of the public attributes of a port that are computed, and whether each may be set."""
    kind = type(port)
    for name in dir(kind):
        member = getattr(kind, name)
        if isinstance(member, property | Value) and not name.startswith("_"):
            yield name, not member.is_read_only if isinstance(member, Value) else member.fset is not None


def _body_fields(body: Mapping[str, object]) -> Iterator[Field]:
    for name, port in body.items():
        for attribute, is_settable in properties(port):
            value = np.asarray(getattr(port, attribute))
            if value.dtype.kind in "bif":
                names = tuple(getattr(port, "names", ()))
                fits = value.shape == (len(names),)
                yield Field(name, attribute, value.shape, is_settable, names if fits else ())


def _columns(field: Field) -> Iterable[str]:
    name = f"{field.port}.{field.attribute}" if field.attribute else field.port
    if not field.shape:
        return [name]
    return [f"{name}[{each}]" for each in field.names or range(field.size)]
