# SPDX-License-Identifier: GPL-2.0-or-later
"""What ranks tell each other in a coupling step, and the buffers for it.

Every brain rank sends its readout (one float64 for each spike sink) to the body rank, which adds them up; the
body rank sends the stimulus (one float64 for each spike source) to every brain rank. The first places of both
messages are for the ranks themselves: the signal that a brain rank got and the decision to stop, the wish and
the decision to write to disk, the announcement of a round of steering (`cosim.control.steering`), so that these
cost no message of their own. Buffers and requests are made once, at build time.

Messages go straight between body and brain, not through MPI's collectives: those pass messages on from rank
to rank, and a rank that still runs NEST passes nothing on. Persistent requests take half of the time as well
(10 instead of 23 us for both ways on 4 ranks).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cosim.devices.devices import SpikeLists
from cosim.parallel.mpi import MPI
from cosim.parallel.stop import StopSign
from cosim.parallel.world import BODY_RANK, LongWait, World, wait_briefly

GO, STOP, FAILED, RESET = 0.0, 1.0, 2.0, 3.0
READOUT_TAG, STIMULUS_TAG = 1, 2
# Places at the start of a message.
FOR_STOP, FOR_FLUSH, FOR_ROUND, RESERVED = 0, 1, 2, 3


class Exchange:
    """Buffers of one rank and the messages that move them; all ranks call the same methods in the same order.

    Attributes:
        readout: (number of sinks,) float64. Brain ranks write what they own and leave the rest at 0;
            on the body rank it holds the sum over ranks after `gather`.
        stimulus: (number of sources,) float64. The body rank writes it; after `receive` all ranks hold it.
        acted: (number of sources,) float64. On the body rank the stimulus of before the last `share`, which
            acted in the step that is over.
        lists: spikes that are exchanged one by one; None where no device does so (see `cosim.parallel.lists`).
    """

    lists: SpikeLists | None = None

    gather: Callable[[bool], None]
    """``gather(flush)`` brings readout and wish to write to disk to the body rank, which waits for them."""
    share: Callable[[bool], None]
    """``share(announce)`` sends stimulus and decisions, to stop and to write to disk, on their way to brain ranks.

    The body rank's ``announce`` says whether the next end of a step is one where all meet for a round of steering.
    """
    receive: Callable[[], None]
    """``receive()`` waits for what the body rank has sent, and until the own messages have left."""

    def __init__(self, world: World, num_sinks: int, num_sources: int, stop: StopSign) -> None:
        self._stop = stop
        self._told, self._decision = np.zeros(RESERVED + num_sinks), np.zeros(RESERVED + num_sources)
        self.readout, self.stimulus = self._told[RESERVED:], self._decision[RESERVED:]
        self.acted, self._acting = np.zeros(num_sources), np.zeros(num_sources)
        if world.is_body:
            self._open_to_brains(world.comm)
            self._requests = [*self._from_brains, *self._to_brains]
            self._wait = LongWait().wait
            self.gather, self.share, self.receive = self._gather_readouts, self._share_stimulus, self._see_off
        else:
            self._to_body = world.comm.Send_init(self._told, BODY_RANK, READOUT_TAG)
            self._from_body = world.comm.Recv_init(self._decision, BODY_RANK, STIMULUS_TAG)
            self._requests = [self._to_body, self._from_body]
            self.gather, self.share = self._send_readout, self._expect_stimulus
            self.receive = self._await_stimulus

    def _open_to_brains(self, comm: MPI.Comm) -> None:
        brains = [rank for rank in range(comm.size) if rank != BODY_RANK]
        self._readouts = np.zeros((len(brains), len(self._told)))
        readouts = zip(self._readouts, brains, strict=True)
        self._from_brains = [comm.Recv_init(readout, rank, READOUT_TAG) for readout, rank in readouts]
        self._to_brains = [comm.Send_init(self._decision, rank, STIMULUS_TAG) for rank in brains]

    def after_gather(self, work: Callable[[], None]) -> None:
        """Have ``work()`` called whenever the readout has come. Body rank, before the first step."""
        gather = self.gather

        def gather_and_work(flush: bool = False) -> None:
            gather(flush)
            work()

        self.gather = gather_and_work

    # The body rank's side.

    def _gather_readouts(self, flush: bool = False) -> None:
        MPI.Prequest.Startall(self._from_brains)
        self._wait(self._have_come)
        np.add.reduce(self._readouts, axis=0, out=self._told)
        self._told[FOR_FLUSH] += flush
        if self._told[FOR_STOP]:
            self._stop.on_signal(int(self._readouts[:, FOR_STOP].max()))

    def _have_come(self) -> bool:
        return MPI.Prequest.Testall(self._from_brains)

    def _share_stimulus(self, announce: bool = False) -> None:
        self._decision[FOR_STOP] = self._outcome()
        self._decision[FOR_FLUSH] = self._told[FOR_FLUSH]
        self._decision[FOR_ROUND] = announce
        MPI.Prequest.Startall(self._to_brains)
        self.acted[:] = self._acting
        self._acting[:] = self.stimulus

    def _outcome(self) -> float:
        if not self._stop:
            return GO
        return FAILED if self._stop.failure else RESET if self._stop.is_reset else STOP

    def _see_off(self) -> None:
        wait_briefly(self._have_left)

    def _have_left(self) -> bool:
        return MPI.Prequest.Testall(self._to_brains)

    # A brain rank's side.

    def _send_readout(self, flush: bool = False) -> None:
        self._told[FOR_STOP], self._told[FOR_FLUSH] = self._stop.signal, flush
        self._to_body.Start()

    def _expect_stimulus(self, announce: bool = False) -> None:
        self._from_body.Start()

    def _await_stimulus(self) -> None:
        wait_briefly(self._from_body.Test)
        wait_briefly(self._to_body.Test)

    # What was agreed.

    @property
    def flush_agreed(self) -> bool:
        """Whether any rank wished to write to disk before the last `share`: then all do so, together."""
        return self._decision[FOR_FLUSH] != 0

    @property
    def stop_agreed(self) -> bool:
        """Whether the last `share` told all ranks to stop."""
        return self._decision[FOR_STOP] != GO

    @property
    def failed(self) -> bool:
        """Whether that was because something failed on the body rank."""
        return self._decision[FOR_STOP] == FAILED

    @property
    def reset_agreed(self) -> bool:
        """Whether that was because the run is to begin anew, in the same processes."""
        return self._decision[FOR_STOP] == RESET

    @property
    def round_agreed(self) -> bool:
        """Whether the last `share` announced a round of steering at the end of the step that it began."""
        return self._decision[FOR_ROUND] != 0

    def close(self) -> None:
        """Free what MPI holds for the messages, when all ranks have ended the loop."""
        for request in self._requests:
            request.Free()
        self._requests = []
