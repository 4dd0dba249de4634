# SPDX-License-Identifier: GPL-2.0-or-later
"""What transfer functions return, recorded as ``/transfer/<function>`` of ``run.h5``, a row for each coupling step.

A function may be added while a run goes on, and a file that others read while it is written gets no new datasets:
each function has a file of its own in ``shards/``, made when it returns something for the first time. The files are
merged when the run has ended (see `cosim.record.runfile`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cosim.record.folder import RunFolder
from cosim.record.names import FIRST_STEP, RETURNED
from cosim.record.series import Series, SeriesFile

Parts = dict[str, np.ndarray]
"""Arrays by the path of their dataset below that of the function: ``""``, or ``"/key"`` of a dictionary."""


def recordable(value: object) -> Parts:
    """The arrays of what a function has returned; none of None.

    Raises:
        ValueError: it is no number, no array of numbers, and no dictionary of these.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {"": _numbers(value, "")}
    if not value:
        raise ValueError(f"returned an empty dictionary: {ALLOWED}")
    return {_path(key): _numbers(each, f" for {key!r}") for key, each in value.items()}


ALLOWED = "must be a number, an array of numbers, or a dictionary of these, or nothing"


def _path(key: object) -> str:
    if not isinstance(key, str) or not key or "/" in key or "\0" in key or key == ".":
        raise ValueError(f"returned a dictionary with {key!r}: its keys must be texts without /")
    return f"/{key}"


def _numbers(value: object, where: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"returned {' '.join(repr(value).split())}{where}: {ALLOWED}")
    return array.astype(float)


class ReturnedValues:
    """Takes what functions return and writes it. Body rank."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder, self._steps = folder, 0
        self._shapes: dict[str, dict[str, tuple[int, ...]]] = {}
        self._latest: dict[str, tuple[int, Parts]] = {}
        self._files: dict[str, SeriesFile] = {}

    def check(self, function: str, value: object) -> Parts:
        """`recordable`; raises ValueError as well if the value is not like those that it returned before."""
        parts = recordable(value)
        shapes = {path: part.shape for path, part in parts.items()}
        known = self._shapes.get(function)
        if known and shapes and shapes != known:
            raise ValueError(f"returned {_words(shapes)}, but before {_words(known)}: what is recorded keeps its shape")
        return parts

    def put(self, step: int, function: str, value: object) -> None:
        """``function`` has returned ``value``, not None, at the end of ``step`` steps. Raises ValueError as `check`."""
        parts = self.check(function, value)
        self._shapes.setdefault(function, {path: part.shape for path, part in parts.items()})
        self._latest[function] = step, parts

    def record(self) -> None:
        """Store a row of each function for the step that is over: NaN if it was not called, or returned nothing.

        It holds what was returned at the end of the step; what was returned before the first step has no row.
        """
        self._steps += 1
        if not self._latest:
            return
        if len(self._files) < len(self._latest):
            self._files |= {name: self._open(name) for name in self._latest.keys() - self._files.keys()}
        for function, file in self._files.items():
            step, parts = self._latest[function]
            for path, shape in self._shapes[function].items():
                row = parts[path] if step == self._steps else np.full(shape, np.nan)
                file.append(dataset(function, path), row[np.newaxis])

    def _open(self, function: str) -> SeriesFile:
        series = {dataset(function, path): Series(shape) for path, shape in self._shapes[function].items()}
        return SeriesFile(self._folder.returned_file(function), series, {FIRST_STEP: self._steps - 1})

    def is_due(self) -> bool:
        """Whether it is time to write to disk."""
        return bool(self._files) and any(file.is_due() for file in self._files.values())

    def flush(self) -> None:
        """Write everything to disk."""
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Write everything to disk; a second call does nothing."""
        for file in self._files.values():
            file.close()


def dataset(function: str, path: str) -> str:
    """Where a part of what a function returns is in its file, and in ``run.h5``."""
    return f"{RETURNED}/{function}{path}"


def _words(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Such as ``left: an array of shape (3,), right: a number``."""
    return ", ".join(f"{path[1:]}: {_shape(shape)}" if path else _shape(shape) for path, shape in shapes.items())


def _shape(shape: tuple[int, ...]) -> str:
    return f"an array of shape {shape}" if shape else "a number"
