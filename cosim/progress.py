# SPDX-License-Identifier: GPL-2.0-or-later
"""How far a run is: a bar on a terminal, a log line every few seconds elsewhere. Body rank only."""

from __future__ import annotations

import logging
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

LOG_INTERVAL_S = 5.0

log = logging.getLogger("cosim")


class Progress:
    """Shows steps done, real-time factor (simulated time / wall time) and time left."""

    def __init__(self, steps: int, step_ms: float) -> None:
        self._steps, self._step_s = steps, step_ms / 1000
        console = Console(stderr=True)
        self._bar = _bar(console) if console.is_terminal else None
        if self._bar:
            self._task = self._bar.add_task("coupling steps", total=steps, factor=0.0)
            self._bar.start()

    def update(self, step: int) -> None:
        """``step`` steps are done; the clock starts at 0 steps."""
        now = time.perf_counter()
        if step == 0:
            self._began = self._logged = now
            return
        factor = step * self._step_s / (now - self._began)
        if self._bar:
            self._bar.update(self._task, completed=step, factor=factor)
        elif now - self._logged > LOG_INTERVAL_S:
            self._logged = now
            left_s = (now - self._began) / step * (self._steps - step)
            log.info("step %d of %d, real-time factor %.3g, %.0f s left", step, self._steps, factor, left_s)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar:
            self._bar.stop()


def _bar(console: Console) -> RichProgress:
    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("real-time factor {task.fields[factor]:.3g}"),
        TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
    )
