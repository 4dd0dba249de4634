# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders and files that only their owner can read and write, on any machine that shares the disk.

Everything is opened relative to an open folder and never through a symbolic link, so nobody who can write into a folder
above can lead us elsewhere. A folder is opened anew for each look: it is then that a network file system asks its
server for what changed, while names looked up in a folder that stays open may be half a minute old.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER_MODE, FILE_MODE = 0o700, 0o600
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A pipe does not block who opens it so.
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NotPrivate(PermissionError):
    """A folder belongs to somebody else, or others can look into it; the message says which."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(errno.EPERM, f"{why}; must be yours, with mode 0700", name)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of any folder, by its path."""
    descriptor = os.open(path, _OPEN_FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_in(parent: int, name: str) -> Iterator[int]:
    """A descriptor of the private folder ``name`` in ``parent``.

    Raises:
        NotPrivate: it belongs to another user, or has another mode.
        OSError: there is none, or it is a file or a symbolic link.
    """
    descriptor = os.open(name, _OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=parent)
    try:
        _check(os.fstat(descriptor), name)
        yield descriptor
    finally:
        os.close(descriptor)


def _check(folder: os.stat_result, name: str) -> None:
    if folder.st_uid != os.geteuid():
        raise NotPrivate(name, f"belongs to {user_name(folder.st_uid)}")
    # Bits above these three times three are inherited from a folder of a project, and open nothing.
    mode = stat.S_IMODE(folder.st_mode) & 0o777
    if mode != FOLDER_MODE:
        raise NotPrivate(name, f"has mode {mode:04o}")


def make_folder(parent: int, name: str) -> None:
    """Make a private folder, unless there is something of that name; `opened_in` then says whether it is one."""
    with suppress(FileExistsError):
        os.mkdir(name, FOLDER_MODE, dir_fd=parent)


def read(folder: int, name: str, most_bytes: int | None = None) -> bytes:
    """The content of a file.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is no regular file of this user, has more than ``most_bytes``, or cannot be read.
    """
    with _opened_file(folder, name) as descriptor:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise OSError(errno.EINVAL, "is no regular file of yours", name)
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read() if most_bytes is None else file.read(most_bytes + 1)
    if most_bytes is not None and len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"is larger than {most_bytes:,} bytes", name)
    return content


@contextmanager
def _opened_file(folder: int, name: str) -> Iterator[int]:
    descriptor = os.open(name, _OPEN_FILE, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def write(folder: int, name: str, content: bytes) -> None:
    """Write a file under another name and rename it, so that nobody ever finds half of it. Raises OSError."""
    unfinished = f".{name}"
    remove(folder, unfinished)  # of a process that was killed
    descriptor = os.open(unfinished, _NEW_FILE, FILE_MODE, dir_fd=folder)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        remove(folder, unfinished)
        raise


def remove(folder: int, name: str) -> bool:
    """Whether there was a file, and is none any more."""
    with suppress(OSError):
        os.unlink(name, dir_fd=folder)
        return True
    return False


def user_name(user: int) -> str:
    """As people know a user; a number where the machine knows no name, as in a container."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
