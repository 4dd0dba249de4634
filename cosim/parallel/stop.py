# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a run ends before its last step: a signal, a limit of wall time, or something that failed.

Any of these ends the run after the running step, on all ranks, as the exchange carries the wish to stop to all.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cosim.errors import FAILURES
from cosim.parallel.mpi import MPI

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
# What schedulers send; only a person at a terminal sends SIGINT.
SCHEDULER_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# The launcher drops on an abort what it has not yet passed on.
LAST_WORDS_S = 0.2


@dataclass
class StopSign:
    """Why this rank wants the run to end after the running step. The exchange carries it to all ranks."""

    reason: str = ""
    failure: str = ""
    """Traceback of what failed, empty for a stop on request."""
    signal: int = 0
    """Number of the signal that this rank got, 0 for none."""
    limit: str = ""
    """What limit of wall time has passed, empty as long as none has."""
    is_reset: bool = False
    """Whether the run is to begin anew when it has ended, in the same processes. Body rank."""

    def __bool__(self) -> bool:
        return bool(self.reason)

    def request(self, reason: str, failure: str = "") -> None:
        """Ask for a stop; the first reason stays, but a failure is never hidden by another reason."""
        if not self.reason or (failure and not self.failure):
            self.reason, self.failure = reason, failure

    def renew(self) -> None:
        """The next run begins in this process; a signal or a limit of wall time that has come is for that one."""
        self.reason = self.failure = ""
        self.is_reset = False
        if self.signal:
            self.request(f"signal {signal.Signals(self.signal).name}")
        elif self.limit:
            self.request(self.limit)

    @contextmanager
    def on_failure(self, what: str) -> Iterator[None]:
        """Turn an exception on the body rank into an agreed stop: all ranks end well and keep their data.

        Brain ranks cannot do so: when one fails inside NEST the others wait in NEST's own collectives.
        """
        try:
            yield
        except FAILURES as error:
            self.fail(what, error)

    def fail(self, what: str, error: BaseException) -> None:
        """What `on_failure` does with an exception; the loop catches it by itself, which costs nothing without one."""
        self.request(f"{what}: {error}", "".join(traceback.format_exception(error)))

    def listen(self) -> Signals:
        """Let SIGTERM, SIGINT and SIGUSR1 (Slurm's --signal) ask for a stop; a second one ends the job."""
        return Signals(self)

    def after(self, seconds: float, reason: str) -> None:
        """Ask for a stop when ``seconds`` have passed, whichever run is on then. Body rank."""
        timer = threading.Timer(seconds, self._pass_limit, (reason,))
        timer.daemon = True
        timer.start()

    def _pass_limit(self, reason: str) -> None:
        self.limit = reason
        self.request(reason)

    def on_signal(self, number: int, _frame: object = None) -> None:
        """This process, or another rank, got a signal."""
        self.signal = self.signal or number
        self.request(f"signal {signal.Signals(number).name}")


class Signals:
    """The signals that this process gets until it ends.

    A thread sees them at once, whatever the main thread is in: Python's own handlers wait until a long call into
    NEST has returned.
    """

    def __init__(self, stop: StopSign) -> None:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, stop.on_signal)
        threading.Thread(target=self._watch, args=(reader,), daemon=True).start()

    def let_results_be_written(self) -> None:
        """The loop has ended: what a scheduler sends matters no more. A second SIGINT still ends the job."""
        for number in SCHEDULER_SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _watch(self, reader: int) -> None:
        """The first signal is acknowledged, where somebody sees it once; the second one ends the job."""
        numbers = (number for number in iter(lambda: os.read(reader, 1)[0], None) if number in STOP_SIGNALS)
        first = signal.Signals(next(numbers))
        if MPI.COMM_WORLD.rank == 0:
            what = "the run will stop after the running step; a second signal ends it at once"
            _say(f"{first.name} noted: {what}")
        second = signal.Signals(next(numbers))
        what = "ended at once; `cosim recover` makes results of what is on disk"
        _say(f"{second.name} after {first.name}: {what}")
        time.sleep(LAST_WORDS_S)
        MPI.COMM_WORLD.Abort(128 + second)


def _say(text: str) -> None:
    """In one piece, and not through what the main thread may be in the middle of."""
    os.write(2, f"cosim: {text}\n".encode())
