# SPDX-License-Identifier: GPL-2.0-or-later
"""A line on the terminal or in the notebook while a program waits for a run; nothing where nobody would see it."""

from __future__ import annotations

import tomllib
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from cosim.record.folder import RunFolder

if TYPE_CHECKING:
    from types import TracebackType

MOST_WORDS = 60


class Waiting:
    """Shows what a run does: the last line of its log while it is built, its steps afterwards."""

    def __init__(self, name: str) -> None:
        self._stack, self._name, self._steps = ExitStack(), name, 0
        console = Console(stderr=True)
        self._is_seen = console.is_terminal or console.is_jupyter
        columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
        self._bar = Progress(*columns, console=console, transient=True, disable=not self._is_seen)

    def __enter__(self) -> Waiting:
        self._stack.enter_context(self._bar)
        self._task = self._bar.add_task(f"{self._name}: starts", total=None)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stack.close()

    def look(self, path: Path) -> None:
        """Show how far the run in the folder ``path`` is."""
        if not self._is_seen:
            return
        folder = RunFolder(path)
        if done := _steps_done(folder):
            self._steps = self._steps or tomllib.loads(folder.config_file.read_text())["clock"]["steps"]
            self._bar.update(self._task, description=self._name, completed=done, total=self._steps)
        elif folder.log_file.exists():
            self._bar.update(self._task, description=f"{self._name}: {_last_line(folder.log_file)}")


def _steps_done(folder: RunFolder) -> int:
    """How many are on disk; 0 also while the file is being replaced by the finished one."""
    try:
        with h5py.File(folder.run_file, "r", swmr=True) as file:
            return len(file["exchange/time_ms"])
    except (OSError, KeyError):
        return 0


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() or [""]
    return lines[-1].split(" ", 2)[-1][:MOST_WORDS]
