# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that wait until the run takes them. Body rank."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# Far more than clients that wait for their answers can have under way: what comes on top is a program gone wild.
CAPACITY = 1000


@dataclass(frozen=True)
class Letter:
    """A command, who sent it, and the way back: ``answer`` may be called once, by any thread, and never raises."""

    command: dict[str, Any]
    who: str
    answer: Callable[[dict[str, Any]], None]


@dataclass
class Inbox:
    """Letters in the order in which they came. Threads put them in, the run takes them out between two steps."""

    on_arrival: Callable[[], None] = lambda: None
    """Called by whoever puts a letter in, after it is in."""
    _letters: deque[Letter] = field(default_factory=deque)
    _has_come: threading.Event = field(default_factory=threading.Event)

    @property
    def is_empty(self) -> bool:
        return not self._letters

    def put(self, letter: Letter) -> None:
        """Add a letter; if too many wait already, it is answered with a refusal instead."""
        if len(self._letters) >= CAPACITY:
            letter.answer({"ok": False, "error": f"{CAPACITY} commands wait already: try again later"})
            return
        self._letters.append(letter)
        self._has_come.set()
        self.on_arrival()

    def take(self) -> Letter | None:
        """The letter that waited longest; None if there is none."""
        try:
            return self._letters.popleft()
        except IndexError:
            return None

    def wait(self, seconds: float) -> None:
        """Return when a letter has come since the last call, or after so many seconds."""
        self._has_come.wait(seconds)
        self._has_come.clear()
