# SPDX-License-Identifier: GPL-2.0-or-later
"""The exceptions that cosim raises for what a user can mend, and what their messages have in common."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# What run.py and cosim end with. argparse ends with the same code for arguments that make no sense.
EXIT_COMPLETE, EXIT_FAILED, EXIT_CONFIGURATION, EXIT_STOPPED = 0, 1, 2, 3

# What a body, a user's transfer functions or network.py may raise.
FAILURES = (Exception, SystemExit)


class ConfigurationError(Exception):
    """What a user asked for cannot be run; the message holds every problem found, one a line.

    It is raised on all ranks together, before NEST starts, and shown once without a traceback.
    """


class NothingToDo(ConfigurationError):
    """What a user asked for is there already."""


class CommandError(ValueError):
    """Why a command of steering was refused, in one line; the run is as it was."""


class RunError(Exception):
    """A run that a program holds has ended, failed, or does not answer; the message says which, and what it printed."""


class BrainError(Exception):
    """NEST cannot run here, or what a user wrote is no brain that it can build.

    The message says where, and what NEST or Python says of it. A brain rank raises it and shows it without a
    traceback. Where all do, it becomes a ConfigurationError.
    """


class RecordingError(Exception):
    """What a run brings cannot be written to disk; the message names the file, the reason and the space that is left.

    It is raised on the rank that writes, and shown there without a traceback.
    """


class Departure(Exception):
    """A run does not do what was recorded; the message says where, what was recorded, and what happened now.

    A brain rank alone may raise it; it is shown there without a traceback.
    """


def nearest(word: str, allowed: Iterable[str]) -> str:
    """``allowed`` as a hint for a message, the most similar name first if one is similar."""
    allowed = sorted(allowed)
    close = difflib.get_close_matches(word, allowed, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}allowed: {', '.join(allowed) or 'none'}"
