# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are there whole or not at all, and what is said when they cannot be written."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosim.errors import RecordingError

BYTES_PER_MB = 10**6
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What fails while ``path`` is written, by Python or by HDF5, becomes a RecordingError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise RecordingError(_refusal(path, error)) from error


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write what shall become ``path``: it gets this name, in place of a file before, when it is whole.

    Raises:
        RecordingError: it could not be written; nothing of it is left.
    """
    unfinished = path.with_suffix(".unfinished")
    try:
        with writing(path):
            yield unfinished
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def several(folder: Path) -> Iterator[Path]:
    """Where to write files that shall be in ``folder``: they get there, in place of others, when all are whole.

    Raises:
        RecordingError: there was no space; nothing of them is left.
    """
    unfinished = folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    try:
        unfinished.mkdir()
        yield unfinished
        for file in unfinished.iterdir():
            file.replace(folder / file.name)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise RecordingError(_refusal(folder, error)) from error
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a small file, whole. Raises RecordingError."""
    with whole(path) as unfinished:
        unfinished.write_text(text)


def check_space(folder: Path, needed_bytes: int, hint: str) -> None:
    """Raises RecordingError, with ``hint``, if files of so many bytes do not fit into ``folder``."""
    if shutil.disk_usage(folder).free < needed_bytes:
        needed = f"{needed_bytes / BYTES_PER_MB:.1f} MB"
        raise RecordingError(f"{folder}: {_free(folder)}, but about {needed} are needed: {hint}")


def _refusal(path: Path, error: OSError | RuntimeError) -> str:
    return f"{path}: cannot be written: {_reason(error)}; {_free(path)}"


def _reason(error: OSError | RuntimeError) -> str:
    """In the words of the operating system, which HDF5 puts into the middle of its own."""
    number = getattr(error, "errno", None) or next(iter(re.findall(r"errno = (\d+)", str(error))), None)
    return os.strerror(int(number)) if number else str(error)


def _free(path: Path) -> str:
    existing = next(each for each in (path, *path.absolute().parents) if each.exists())
    return f"{shutil.disk_usage(existing).free / BYTES_PER_MB:.1f} MB are free there"
