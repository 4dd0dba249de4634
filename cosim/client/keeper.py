# SPDX-License-Identifier: GPL-2.0-or-later
"""A process between a Python program and the run that it started: ends the run when that program has gone.

``python keeper.py LOG COMMAND...`` runs a command in a session of its own, with its output in a file. Standard input
is a pipe of which the program holds the other end: the kernel closes it however the program ends. Then, and on SIGTERM,
the run is asked to end after its running step, with results; later it is told to end at once, and at last it is killed.
Of the standard library alone, so that it starts quickly and nothing of the program is in it.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress

# After the first signal a run ends its step and writes results. One that does not is ended by the second, but a run
# that writes results does not mind that one: it has another time for it.
STEP_S, RESULTS_S = 60.0, 600.0
PR_SET_PDEATHSIG = 1


def main(log: str, command: Sequence[str]) -> int:
    """Run ``command`` until it ends, or has to; returns its exit code, or 128 and the number of its signal."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    asked: list[int] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(log, "ab", buffering=0) as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    while child.poll() is None:
        awake, _, _ = select.select([0, reader], [], [])
        if reader in awake:
            os.read(reader, 4096)
        if asked or (0 in awake and not os.read(0, 4096)):
            _end(child)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _end(child: subprocess.Popen) -> None:
    for number, patience_s in _harder():
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(patience_s)
            return


def _harder() -> Iterator[tuple[signal.Signals, float | None]]:
    """What to send, and how long to wait then."""
    yield signal.SIGTERM, STEP_S
    yield signal.SIGTERM, RESULTS_S
    yield signal.SIGKILL, None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
