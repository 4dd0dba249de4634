# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of steering that a run obeyed: a line each in a file while it goes on, ``/commands`` at its end.

``/commands`` of ``run.h5`` has a row for each: ``step`` (done before it acted), ``wall_time`` (s since 1970), ``who``
and ``what``, the command as JSON. A run in which nobody did anything has no such group.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosim.record.disk import writing

GROUP = "commands"


@dataclass(frozen=True)
class Obeyed:
    """A command that acted after ``step`` steps."""

    step: int
    wall_time: float
    who: str
    what: Mapping[str, Any]


class CommandLog:
    """Appends commands to a file, each at once on its way to the disk. Body rank."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, obeyed: Obeyed) -> None:
        """Write down what was obeyed; a run that is killed afterwards knows of it."""
        with writing(self._path):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(descriptor, (json.dumps(asdict(obeyed)) + "\n").encode())
            finally:
                os.close(descriptor)


def read_log(path: Path) -> list[Obeyed]:
    """What a log holds; a last line that is not whole was not obeyed. Empty where there is no log."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    return [Obeyed(**json.loads(line)) for line in lines]


def write(file: h5py.File, commands: Sequence[Obeyed]) -> None:
    """Write the group, if there is something to write."""
    if not commands:
        return
    group, text = file.create_group(GROUP), h5py.string_dtype()
    group["step"] = np.array([each.step for each in commands])
    group["wall_time"] = np.array([each.wall_time for each in commands])
    group["wall_time"].attrs["units"] = "s"
    group.create_dataset("who", data=[each.who for each in commands], dtype=text)
    group.create_dataset("what", data=[json.dumps(each.what) for each in commands], dtype=text)


def read(file: h5py.File) -> Iterator[Obeyed]:
    """The commands in a ``run.h5``, in the order in which they acted."""
    if GROUP not in file:
        return
    group = file[GROUP]
    columns = (group["step"], group["wall_time"], group["who"].asstr(), group["what"].asstr())
    for step, wall_time, who, what in zip(*(column[:] for column in columns), strict=True):
        yield Obeyed(int(step), float(wall_time), who, json.loads(what))
