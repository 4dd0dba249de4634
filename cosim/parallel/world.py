# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is body and who is brain, and how all ranks agree: on the world's size, on errors.

Rank 0 is the body rank; all other ranks run the brain. Collective calls live here and in ``exchange.py``
only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from cosim.errors import EXIT_FAILED, BrainError, ConfigurationError, Departure, RecordingError
from cosim.parallel import launch
from cosim.parallel.machine import Machine, available_bytes
from cosim.parallel.mpi import MPI
from cosim.parallel.stop import LAST_WORDS_S

T = TypeVar("T")

BODY_RANK = 0

# How long a rank that waits for a short time looks again and again before it begins to nap.
SPIN_S = 1e-3
# A nap is a share of the time that a wait takes, but no shorter than this.
NAP_SHARE, NAP_S = 0.01, 50e-6
# Of the shortest of so many last waits this share is slept at once, but no longer than this: signals want an answer.
LAST_WAITS, SLEEP_SHARE, LONGEST_NAP_S = 8, 0.5, 0.1
# A run that was paused for an hour goes on at once.
LONGEST_SHORT_NAP_S = 0.02
# The kernel lets naps last 50 us longer unless told otherwise (man 2 prctl).
PR_SET_TIMERSLACK, TIMER_SLACK_NS = 29, 1000
# The kernel ends a rank when the process dies that mpiexec started it through on this machine; nobody else
# would. Slurm's ranks have slurmd for this.
PR_SET_PDEATHSIG, LAUNCHERS_HELPERS = 1, ("hydra_", "orted", "prted")
# Before and after the loop ranks wait for seconds, and no one minds a millisecond more.
PATIENT_NAP_S = 1e-3
# A brain rank whose build failed gives the others so long to fail too, as each may have to read the same script from a
# slow disk; they may wait for it inside NEST instead.
FAIL_TOGETHER_S = 20.0


@dataclass(frozen=True)
class World:
    """This rank's place in the job."""

    comm: MPI.Comm
    """All ranks: a duplicate of the world for the coupling alone, as NEST and others may use the world itself."""
    brain: MPI.Comm
    """The brain ranks; COMM_NULL on the body rank."""
    machines: tuple[Machine, ...]
    """All machines that the ranks are on; that of the body rank comes first."""
    agreement: MPI.Comm = field(default_factory=lambda: MPI.COMM_NULL)
    """The brain ranks once more, so that they can agree while one is inside NEST; COMM_NULL on the body rank."""

    @property
    def is_body(self) -> bool:
        return self.brain == MPI.COMM_NULL

    @property
    def rank(self) -> int:
        return self.comm.rank

    @property
    def brain_ranks(self) -> int:
        return self.comm.size - 1

    def missing_cores(self, threads: int) -> int:
        """How many cores this machine lacks for its brain ranks with ``threads`` each. Body rank.

        One that may run on a single core was put there by a launcher that gives each rank its own.
        """
        cores = len(os.sched_getaffinity(0))
        return 0 if cores == 1 else max(0, self.machines[0].brain_ranks * threads + 1 - cores)

    def on_body(self, make: Callable[[], T]) -> T:
        """Call ``make`` on the body rank and return its result there; elsewhere None, not to be used. Collective.

        Raises:
            ConfigurationError: on every rank, if ``make`` raised it on the body rank.
        """
        result = cast(T, None)
        refused: ConfigurationError | None = None
        if self.is_body:
            try:
                result = make()
            except ConfigurationError as error:
                refused = error
        refused = self.comm.bcast(refused, root=BODY_RANK)
        if refused is not None:
            raise refused
        return result

    def on_brain(self, make: Callable[[], T]) -> T:
        """Call ``make`` on every brain rank and return its result. Collective over the brain ranks.

        Raises:
            ConfigurationError: if ``make`` raised BrainError on all of them; on the body rank `to_body` raises it.
            BrainError: if it did so on some, which have to end the job.
        """
        result = cast(T, None)
        failed: BrainError | None = None
        try:
            result = make()
        except BrainError as error:
            failed = error
        if self._failures(failed) == self.brain_ranks:
            refusal = ConfigurationError(str(failed))
            self.to_body(refusal)
            raise refusal
        if failed is not None:
            raise failed
        return result

    def _failures(self, error: BrainError | None) -> int:
        """On how many brain ranks there is an error. Collective over them, but a rank with an error does not wait long.

        Raises:
            BrainError: the ``error``, if the others do not come.
        """
        count = np.zeros(1, dtype=np.int64)
        request = self.agreement.Iallreduce(np.array([error is not None], dtype=np.int64), count)
        last = time.monotonic() + FAIL_TOGETHER_S
        while not request.Test():
            if error is not None and time.monotonic() > last:
                raise error
            time.sleep(PATIENT_NAP_S)
        return int(count[0])

    def share(self, item: T | None) -> T:
        """The body rank's ``item``, on every rank; None will do on others. Collective; pickles, so build time only."""
        return self.comm.bcast(item, root=BODY_RANK)

    def to_body(self, item: T) -> list[T]:
        """One item of every rank, as a list on the body rank, empty elsewhere. Collective; pickles.

        Raises:
            ConfigurationError: on the body rank, if brain ranks raised it together in `on_brain`.
        """
        self.synchronise()
        items = self.comm.gather(item, root=BODY_RANK) or []
        if items and isinstance(items[-1], ConfigurationError):
            raise items[-1]
        return items

    def from_brains(self, item: T | None) -> list[T]:
        """One item of every brain rank, as a list on the body rank, whose own does not count; else as `to_body`."""
        return self.to_body(cast(T, item))[1:]

    def synchronise(self) -> None:
        """Wait for all ranks. Collective."""
        request = self.comm.Ibarrier()
        while not request.Test():
            time.sleep(PATIENT_NAP_S)


def wait_briefly(is_done: Callable[[], bool]) -> None:
    """Wait for what comes soon; ``is_done`` lets MPI make progress. Looks again and again, after 1 ms with naps.

    However long it takes, it is met within 20 ms.
    """
    if is_done():
        return
    began = time.perf_counter()
    while not is_done():
        waited_s = time.perf_counter() - began
        if waited_s > SPIN_S:
            time.sleep(min(NAP_SHARE * waited_s, LONGEST_SHORT_NAP_S))


class LongWait:
    """How the body rank waits for the brain: soon awake when the readout comes, and asleep until then.

    MPI's own waiting would take a core for as long as the brain runs, and each look of this one may take it from
    a brain rank where cores are few. Half of the time that the shortest of the last waits took is slept at once,
    the rest in naps of a hundredth of it. What a nap is too long does not hold up brain ranks: meanwhile they
    have begun the next step.
    """

    def __init__(self) -> None:
        self._lasts_s = deque([0.0], maxlen=LAST_WAITS)

    def wait(self, is_done: Callable[[], bool]) -> None:
        """Return soon after ``is_done``, which lets MPI make progress, has become true."""
        began, waited_s, usual_s = time.perf_counter(), 0.0, min(self._lasts_s)
        while not is_done():
            nap_s = max(NAP_S, NAP_SHARE * max(usual_s, waited_s), SLEEP_SHARE * usual_s - waited_s)
            time.sleep(min(nap_s, LONGEST_NAP_S))
            waited_s = time.perf_counter() - began
        self._lasts_s.append(waited_s)


def split(comm: MPI.Comm = MPI.COMM_WORLD, brain_ranks: int | None = None) -> World:
    """Split ``comm`` into one body rank and at least one brain rank. Collective over ``comm``.

    Raises:
        ConfigurationError: too few ranks, another number of ranks than the launcher started, or not ``brain_ranks``.
    """
    check_size(comm.size, os.environ)
    if brain_ranks not in (None, comm.size - 1):
        raise ConfigurationError(f"--ranks {brain_ranks}: must be {comm.size - 1}, as many as the launcher started")
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0)
    if is_launchers_helper(os.getppid()):
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    is_body = comm.rank == BODY_RANK
    brain = comm.Split(color=MPI.UNDEFINED if is_body else 1, key=comm.rank)
    world, machines = comm.Dup(), _machines(comm)
    return World(world, brain, machines) if is_body else World(world, brain, machines, agreement=brain.Dup())


def is_launchers_helper(pid: int) -> bool:
    """Whether mpiexec starts the ranks of this machine through this process.

    A parent that no name can be read of is taken for none: one outside of a container has the number 0 in it.
    """
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith(LAUNCHERS_HELPERS)
    except OSError:
        return False


def _machines(comm: MPI.Comm) -> tuple[Machine, ...]:
    """All machines that the ranks of ``comm`` are on, told by the lowest rank on each. Collective."""
    neighbours = comm.Split_type(MPI.COMM_TYPE_SHARED, key=comm.rank)
    has_body = neighbours.bcast(comm.rank) == BODY_RANK
    machine = Machine(neighbours.size - has_body, has_body, available_bytes())
    told = comm.allgather(machine if neighbours.rank == 0 else None)
    return tuple(each for each in told if each is not None)


def check_size(size: int, environment: dict | os._Environ) -> None:
    """Compare the size of the world with what the launcher says, and with what cosim needs.

    With a PMI that does not fit the MPI library every rank gets a world of its own, silently.
    """
    for name in launch.SIZES:
        started = environment.get(name, "")
        if started.isdigit():
            if int(started) != size:
                raise ConfigurationError(
                    f"the launcher started {started} ranks ({name}={started}) but MPI sees a world of {size}: "
                    "launcher and MPI library do not fit; with Slurm and MPICH use `srun --mpi=pmi2`, "
                    "else use the mpiexec of the MPI library (`cosim doctor` names both)"
                )
            break
    if size < 2:
        raise ConfigurationError(
            f"cosim needs at least 2 MPI ranks (1 body, 1 brain), got {size}: `cosim run` starts as many as it needs"
        )


@contextmanager
def fatal_errors_end_the_job(rescues: list[Callable[[BaseException], None]]) -> Iterator[None]:
    """Any exception on this rank alone ends all ranks: print its traceback, call ``rescues`` with it, abort.

    Only a ConfigurationError passes, as all ranks raise it together. Without this the failing rank would wait
    in MPI_Finalize (NEST registers an atexit handler that calls it) while the others wait for it in a
    collective, for ever.
    """
    try:
        yield
    except ConfigurationError:
        raise
    except BaseException as error:
        is_plain = isinstance(error, (BrainError, RecordingError, Departure))
        what = f"stopped: {error}" if is_plain else f"failed:\n{traceback.format_exc()}"
        _say(what)
        try:
            for rescue in rescues:
                rescue(error)
        except Exception as problem:
            _say(str(problem))
        finally:
            time.sleep(LAST_WORDS_S)
            MPI.COMM_WORLD.Abort(EXIT_FAILED)


def _say(what: str) -> None:
    sys.stderr.write(f"cosim: rank {MPI.COMM_WORLD.rank} {what.rstrip()}\n")
    sys.stderr.flush()
