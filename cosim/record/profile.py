# SPDX-License-Identifier: GPL-2.0-or-later
"""Wall time of every phase: of building, and of each coupling step."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from itertools import cycle

import numpy as np

# In the order of the loop; `steer` is a round of commands, a pause or waiting for the wall clock before the step,
# `brain` is NEST's Run and nothing else, `ahead` the part of it that is done before the
# stimulus is there. The body rank waits for the slowest brain rank in `gather`; brain ranks wait in `receive`, for
# the slowest of them and for the transfer functions.
STEP_PHASES = (
    "steer", "stimulate", "brain", "body", "read", "gather", "transfer", "share", "record", "ahead", "receive", "flush",
)  # fmt: skip
RUN_PHASES = ("brain", "ahead")


def run_times(profile: np.ndarray) -> np.ndarray:
    """What NEST itself takes, in the unit of ``profile`` (ranks, steps, phases): (ranks, steps)."""
    return np.sum([profile[:, :, STEP_PHASES.index(name)] for name in RUN_PHASES], axis=0)


def unsteered(profile: np.ndarray) -> np.ndarray:
    """``profile`` (..., phases) without the time that steering took, such as pauses."""
    return np.delete(profile, STEP_PHASES.index("steer"), axis=-1)


class Stopwatch:
    """Times of named phases, one after the other."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """The phase ``name`` ends here and the next one begins; a name may come several times."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


class StepProfile:
    """Wall time in s of every phase of a step on this rank, handed to ``write`` as (steps, phases) rows."""

    def __init__(self, write: Callable[[np.ndarray], None]) -> None:
        self._write = write
        # A list would take four times the memory: thousands of steps may be done between two writes.
        self._marks = array("d")
        self._phases = cycle(STEP_PHASES)

    def start(self) -> None:
        """The first step begins here."""
        self._marks, self._phases = array("d", [time.perf_counter()]), cycle(STEP_PHASES)

    def lap(self, phase: str) -> None:
        """``phase`` ends here; they come in the order of ``STEP_PHASES``, each once a step.

        Raises:
            ValueError: another phase should end here; its time would get a wrong name.
        """
        now = time.perf_counter()
        if phase != (expected := next(self._phases)):
            raise ValueError(f"phase {phase!r} of a step: must be {expected!r} here, see STEP_PHASES")
        self._marks.append(now)

    def hand_over(self) -> None:
        """Write the rows of all steps that are complete."""
        complete = max(0, len(self._marks) - 1) // len(STEP_PHASES) * len(STEP_PHASES)
        if complete:
            self._write(np.diff(np.array(self._marks[: complete + 1])).reshape(-1, len(STEP_PHASES)))
            del self._marks[:complete]
