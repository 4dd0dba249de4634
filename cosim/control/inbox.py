# SPDX-License-Identifier: GPL-2.0-or-later
"""Letters that have come for a run and wait for the next round of steering. Body rank."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Letter:
    """A command as it came, from whom, and where its answer goes; ``answer`` is called once, by the main thread."""

    command: dict[str, Any]
    who: str
    answer: Callable[[dict[str, Any]], None]


class Inbox:
    """Filled by the threads that listen, emptied by the main thread in rounds.

    ``on_arrival`` is called by the thread that brings a letter.
    """

    def __init__(self) -> None:
        self._letters: queue.SimpleQueue[Letter] = queue.SimpleQueue()
        self._next: Letter | None = None
        self.on_arrival: Callable[[], None] = lambda: None

    def put(self, letter: Letter) -> None:
        """A letter has come. Any thread."""
        self._letters.put(letter)
        self.on_arrival()

    def take(self) -> Letter | None:
        """The next letter; None if there is none. Main thread."""
        self.wait(0.0)
        letter, self._next = self._next, None
        return letter

    def wait(self, seconds: float) -> None:
        """Return when there is a letter, or after so many seconds. Main thread."""
        if self._next is None:
            try:
                self._next = self._letters.get(timeout=seconds) if seconds else self._letters.get_nowait()
            except queue.Empty:
                return

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits. Main thread."""
        return self._next is None and self._letters.empty()
