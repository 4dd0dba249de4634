# SPDX-License-Identifier: GPL-2.0-or-later
"""How far a run is: a bar on a terminal, a log line every few seconds elsewhere. Body rank only."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

LOG_INTERVAL_S = 5.0
LAUNCHERS = ("mpiexec", "mpirun", "orterun", "prterun")

log = logging.getLogger("cosim")


class Progress:
    """Shows steps done, real-time factor (simulated time / wall time) and time left."""

    def __init__(self, steps: int, step_ms: float) -> None:
        self._steps, self._step_s = steps, step_ms / 1000
        terminal = find_terminal()
        self._bar = _bar(terminal) if terminal else None

    def update(self, step: int) -> None:
        """``step`` steps are done; the clock starts at 0 steps."""
        now = time.perf_counter()
        if step == 0:
            self._start(now)
            return
        factor = step * self._step_s / (now - self._began)
        if self._bar:
            self._bar.update(self._task, completed=step, factor=f"{factor:.3g}")
        elif now - self._logged > LOG_INTERVAL_S:
            self._logged = now
            left_s = (now - self._began) / step * (self._steps - step)
            log.info("step %d of %d, real-time factor %.3g, %.0f s left", step, self._steps, factor, left_s)

    def _start(self, now: float) -> None:
        self._began = self._logged = now
        if self._bar:
            self._task = self._bar.add_task("coupling steps", total=self._steps, factor="-")
            self._bar.start()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar:
            self._bar.stop()


def find_terminal() -> Path | None:
    """The terminal that a user watches: that of standard error, or of the launcher's, which passes ours on by a pipe."""
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


def _bar(terminal: Path) -> RichProgress:
    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("real-time factor {task.fields[factor]}"),
        TimeRemainingColumn(),
        console=Console(file=terminal.open("w"), force_terminal=True),
        refresh_per_second=4,
    )
