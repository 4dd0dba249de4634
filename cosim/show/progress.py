# SPDX-License-Identifier: GPL-2.0-or-later
"""How far a run is: a bar on a terminal, a log line every few seconds elsewhere. Body rank only.

A terminal may belong to another user, or go while the run goes on: then there are log lines instead.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

LOG_INTERVAL_S = 5.0
DRAW_INTERVAL_S = 0.25
LAUNCHERS = ("mpiexec", "mpirun", "orterun", "prterun")

log = logging.getLogger("cosim")


class Progress:
    """Shows steps done, real-time factor (simulated time / wall time) and time left."""

    def __init__(self, steps: int, step_ms: float) -> None:
        self._steps, self._step_s = steps, step_ms / 1000
        terminal = find_terminal()
        self._bar = _bar(terminal) if terminal else None
        if self._bar:
            self._task = self._bar.add_task("coupling steps", total=steps, factor="-")

    def update(self, step: int) -> None:
        """``step`` steps are done; the clock starts at 0 steps."""
        now = time.perf_counter()
        if step == 0:
            self._began = self._told = now
            self._draw(lambda bar: bar.start())
            return
        due = now - self._told > (DRAW_INTERVAL_S if self._bar else LOG_INTERVAL_S)
        if due:
            self._told = now
        elapsed_s = now - self._began
        factor = step * self._step_s / elapsed_s
        if self._bar:
            told = f"{factor:.3g}"
            self._draw(lambda bar: bar.update(self._task, completed=step, factor=told, refresh=due))
        elif due:
            left_s = elapsed_s / step * (self._steps - step)
            log.info("step %d of %d, real-time factor %.3g, %.0f s left", step, self._steps, factor, left_s)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._draw(lambda bar: bar.stop())

    def _draw(self, change: Callable[[RichProgress], None]) -> None:
        """Change the bar, if there is one; there is none any more when its terminal has gone."""
        try:
            if self._bar:
                change(self._bar)
        except OSError as error:
            self._bar = None
            log.info("no progress bar any more: %s", error.strerror)


def find_terminal() -> Path | None:
    """The terminal that a user watches: that of standard error, or of the launcher's, which passes ours on."""
    for pid in (os.getpid(), *_launchers()):
        try:
            target = os.readlink(f"/proc/{pid}/fd/2")
        except OSError:  # another user's process, or no /proc
            continue
        if target.startswith(("/dev/pts/", "/dev/tty")):
            return Path(target)
    return None


def _launchers() -> list[int]:
    """Those of this process's ancestors that are MPI launchers on this machine."""
    found, pid = [], os.getppid()
    while pid > 1:
        try:
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            break
        if name.startswith(LAUNCHERS):
            found.append(pid)
        pid = int(rest.split()[1])
    return found


def _bar(terminal: Path) -> RichProgress | None:
    """None on a terminal that cannot be opened: after su or sudo it is another user's."""
    try:
        file = terminal.open("w")
    except OSError:
        return None
    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("real-time factor {task.fields[factor]}"),
        TimeRemainingColumn(),
        console=Console(file=file, force_terminal=True),
        auto_refresh=False,  # a thread of its own could not tell us that the terminal has gone
        redirect_stdout=False,  # what users print goes where they sent it
        redirect_stderr=False,
    )
