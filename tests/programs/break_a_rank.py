# SPDX-License-Identifier: GPL-2.0-or-later
"""run.py with a fault built in: ``mpiexec -n N python break_a_rank.py WHERE RANK STEP <arguments of run.py>``.

WHERE is "build" (the network is being connected), "signal-build" (RANK sends itself SIGTERM while it builds), "loop"
(inside the brain's step number STEP), "nan" (a command to a muscle that is not a number after STEP steps) or "signal"
(RANK sends itself SIGTERM in step STEP), "two-signals" (SIGTERM and then SIGINT), "signal-fail" (SIGTERM, and
the step fails), "signal-merge" (SIGTERM three times while results are written), or "kill" (RANK is killed in step
STEP; all ranks write every step to disk).
"""

import os
import signal
import sys
import time

from mpi4py import MPI

from cosim.program import main
from cosim.record import series

where, rank, step = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def break_build() -> None:
    from cosim.engines.nest import building

    def broken(*_):
        raise RuntimeError("broken on purpose while connecting")

    building.connect = broken


def signal_while_building() -> None:
    from cosim.body.musculoskeletal.body import MusculoskeletalBody
    from cosim.engines.nest import building

    for part, name in ((building, "connect"), (MusculoskeletalBody, "reset")):
        setattr(part, name, _signal_first(getattr(part, name)))


def _signal_first(function):
    signals = [signal.SIGTERM]

    def signalled(*arguments):
        if signals:
            os.kill(os.getpid(), signals.pop())
        return function(*arguments)

    return signalled


def in_step(act) -> None:
    """Call ``act`` at the start of step number ``step`` on this rank, brain or body."""
    from cosim.body.musculoskeletal.body import MusculoskeletalBody
    from cosim.body.vehicle.vehicle import Vehicle
    from cosim.engines.nest.brain import Brain

    for side, name in ((Brain, "run"), (MusculoskeletalBody, "advance"), (Vehicle, "advance")):
        setattr(side, name, _count(getattr(side, name), act))


def _count(method, act):
    def counted(self, *arguments):
        calls = vars(self).get("calls", 0)  # of this object: another body takes a step before the run's own does
        self.calls = calls + 1
        if calls == step:
            act(self)
        return method(self, *arguments)

    return counted


def fail(_part) -> None:
    raise RuntimeError("broken on purpose in the loop")


def two_signals(_part) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
    time.sleep(60)


def signal_and_fail(_part) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    raise RuntimeError("broken on purpose after a signal")


def signal_while_merging() -> None:
    from cosim import program

    finalize = program.finalize

    def signalled(*arguments):
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        return finalize(*arguments)

    program.finalize = signalled


def not_a_number(body) -> None:
    body.muscles.excitation[3] = float("nan")


if where == "kill":
    series.FLUSH_INTERVAL_S = 0.0
if MPI.COMM_WORLD.rank == rank:
    actions = {
        "build": break_build,
        "signal-build": signal_while_building,
        "loop": lambda: in_step(fail),
        "nan": lambda: in_step(not_a_number),
        "signal": lambda: in_step(lambda _: os.kill(os.getpid(), signal.SIGTERM)),
        "two-signals": lambda: in_step(two_signals),
        "signal-fail": lambda: in_step(signal_and_fail),
        "signal-merge": signal_while_merging,
        "kill": lambda: in_step(lambda _: os.kill(os.getpid(), signal.SIGKILL)),
    }
    actions[where]()

sys.exit(main(sys.argv[4:]))
