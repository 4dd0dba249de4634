# SPDX-License-Identifier: GPL-2.0-or-later
"""To which process the folder of a run belongs while it is written: a file that this process keeps locked.

The kernel drops the lock when the process ends, in whatever way; network file systems carry it to other machines.
Where they do not, it is the age of what was written last that tells.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import time
from pathlib import Path

from cosim.record.disk import writing
from cosim.record.folder import RunFolder

# A run writes once a second, unless its steps take longer.
SILENCE_S = 60.0
# Who asks whether a run lives has its lock for a moment, if nobody else has it.
ATTEMPTS, PAUSE_S = 10, 0.1
NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def claim(folder: RunFolder) -> int:
    """Say that this process writes ``folder``, for as long as it lives or until it closes the returned descriptor."""
    with writing(folder.owner_file):
        descriptor = os.open(folder.owner_file, os.O_RDWR | os.O_CREAT, 0o644)
        owner = {"host": platform.node(), "pid": os.getpid(), "locked": _lock_patiently(descriptor)}
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(owner).encode())
    return descriptor


def living_owner(folder: RunFolder) -> str:
    """The process that still writes ``folder``, as far as its files can tell, in words; empty if there is none."""
    try:
        told, silent_s = folder.owner_file.read_text(), time.time() - last_written(folder)
        locked = is_locked(folder)
    except FileNotFoundError:  # there is none any more when a run has ended, which may be just now
        return ""
    return _living(json.loads(told), locked, silent_s) if told else ""


def _living(owner: dict[str, str | int | bool], locked: bool, silent_s: float) -> str:
    if owner["locked"] and locked:
        alive = True
    elif owner["host"] == platform.node():
        alive = not owner["locked"] and Path(f"/proc/{owner['pid']}").exists()
    else:
        alive = silent_s < SILENCE_S
    return f"process {owner['pid']} on {owner['host']}, last heard of {silent_s:.0f} s ago" if alive else ""


def last_written(folder: RunFolder) -> float:
    """When a file of the run was changed last, in s since 1970."""
    return max(path.stat().st_mtime for path in (*folder.path.glob("*"), *folder.shard_folder.glob("*")))


def is_locked(folder: RunFolder) -> bool:
    """Whether a process on this machine, or one that shares its locks, writes ``folder`` for certain."""
    with folder.owner_file.open() as file:
        try:
            _lock(file.fileno(), fcntl.LOCK_SH)
        except BlockingIOError:
            return True
    return False


def _lock_patiently(descriptor: int) -> bool:
    for _ in range(ATTEMPTS):
        try:
            return _lock(descriptor, fcntl.LOCK_EX)
        except BlockingIOError:
            time.sleep(PAUSE_S)
    return _lock(descriptor, fcntl.LOCK_EX)


def _lock(descriptor: int, kind: int) -> bool:
    """Whether the file system has locks; BlockingIOError where another process has this one."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS_HERE:
            return False
        raise
    return True
