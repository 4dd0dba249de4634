# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes of a run that this program started: `cosim run` and its ranks, which end when this program does."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

from cosim.client import keeper
from cosim.errors import EXIT_COMPLETE, EXIT_CONFIGURATION, EXIT_STOPPED, ConfigurationError
from cosim.parallel import launch

LAST_LINES = 20
OURS = "cosim: "

_open: weakref.WeakSet[LaunchedRun] = weakref.WeakSet()


class LaunchedRun:
    """``cosim run`` with ``arguments``, in processes that end when this one does, in whatever way.

    What it prints goes to the file ``log``, which is removed with this object.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        descriptor, name = tempfile.mkstemp(prefix="cosim-run-", suffix=".log")
        os.close(descriptor)
        self.log = Path(name)
        command = [sys.executable, "-P", "-m", "cosim", "run", *arguments]
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, name, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=launch.environment(),
            start_new_session=True,
        )
        self._closer = weakref.finalize(self, _let_go, self._keeper, self.log)
        _open.add(self)

    @property
    def is_alive(self) -> bool:
        """Whether any of it still runs, perhaps writing results."""
        return self._keeper.poll() is None

    @property
    def exit_code(self) -> int | None:
        """As of ``cosim run``; None while it runs."""
        return self._keeper.poll()

    @property
    def has_failed(self) -> bool:
        """Whether it has ended in another way than a run does that is complete, or was asked to stop."""
        return self.exit_code not in (None, EXIT_COMPLETE, EXIT_STOPPED)

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait until all processes have ended; returns the exit code.

        Raises:
            TimeoutError: they have not.
        """
        try:
            return self._keeper.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the processes of the run have not ended within {timeout_s:g} s") from None

    def end(self) -> None:
        """Ask for an end after the running step, with results; returns at once."""
        _close_pipe(self._keeper)

    def last_lines(self, count: int = LAST_LINES) -> str:
        """What it printed last."""
        return "\n".join(self._text().splitlines()[-count:])

    def refusal(self) -> ConfigurationError | None:
        """What the run said if it ended because it cannot be run as it was asked for."""
        if self.exit_code != EXIT_CONFIGURATION:
            return None
        lines = self._text().splitlines()
        first = max((place for place, line in enumerate(lines) if line.startswith(OURS)), default=0)
        return ConfigurationError("\n".join(lines[first:]).removeprefix(OURS))

    def _text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def _close_pipe(process: subprocess.Popen) -> None:
    if process.stdin and not process.stdin.closed:
        process.stdin.close()


def _let_go(process: subprocess.Popen, log: Path) -> None:
    _close_pipe(process)
    log.unlink(missing_ok=True)


def _forget() -> None:
    """In a forked child: the end of the pipe that tells the parent's life is the parent's alone."""
    for each in _open:
        each._closer.detach()
        each.end()


os.register_at_fork(after_in_child=_forget)
