# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a run takes no commands, in words for who wants to steer it."""

from __future__ import annotations

from cosim.control.private import NotPrivate, user_name
from cosim.record.attempts import attempt
from cosim.record.folder import RunFolder
from cosim.record.owner import living_owner


def why_not(run: RunFolder, error: OSError) -> str:
    """What is wrong with a run whose control folder cannot be used, for which the system said ``error``."""
    try:
        owner = run.path.stat().st_uid
        if isinstance(error, NotPrivate):
            return f"its folder {error.filename} {error.strerror}"
        if isinstance(error, PermissionError):
            return f"belongs to {user_name(owner)}, and only {user_name(owner)} can steer it"
        return _condition(run) if isinstance(error, FileNotFoundError) else error.strerror or str(error)
    except (FileNotFoundError, NotADirectoryError):
        return "no such run"
    except PermissionError:
        return "you may not look into this folder"


def _condition(run: RunFolder) -> str:
    written = attempt(run) if attempt(run).shard_folder.is_dir() else run
    if not run.config_file.is_file() and not written.shard_folder.is_dir():
        return "is not the results folder of a run"
    if not living_owner(written):
        return how_it_ended(run)
    if not written.built_file.is_file():
        return "is still being built: try again in a moment"
    return "takes no commands: it was started without steering, or is about to end"


def how_it_ended(run: RunFolder) -> str:
    """Of a run that nobody writes any more."""
    return "has ended without being finished" if run.shard_folder.is_dir() else "has ended"
