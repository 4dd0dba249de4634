# SPDX-License-Identifier: GPL-2.0-or-later
"""The two collectives of a coupling step and their buffers.

One reduction brings the readout (one float64 per spike sink) from the brain ranks to the body rank, one broadcast
brings the stimulus (one float64 per spike source) back. Slot 0 of both buffers carries the wish to stop and the
decision to stop, so that stopping costs no collective of its own. The buffers are made once, at build time.
"""

from __future__ import annotations

import numpy as np
from mpi4py import MPI

from cosim.world import BODY_RANK, StopSign, World, wait

GO, STOP, FAILED = 0.0, 1.0, 2.0


class Exchange:
    """The buffers of one rank and the collectives that move them; all ranks call the same methods in the same order.

    Attributes:
        readout: (number of sinks,) float64. Brain ranks write what they own and leave the rest at 0;
            on the body rank it holds the sum over ranks after `gather`.
        stimulus: (number of sources,) float64. The body rank writes it; after `share` all ranks hold the same.
    """

    def __init__(self, world: World, num_sinks: int, num_sources: int, stop: StopSign) -> None:
        self._comm, self._stop = world.comm, stop
        self._contribution = np.zeros(1 + num_sinks)
        self._sum = np.zeros(1 + num_sinks) if world.is_body else None
        self._decision = np.zeros(1 + num_sources)
        self.readout = (self._sum if world.is_body else self._contribution)[1:]
        self.stimulus = self._decision[1:]

    def gather(self) -> None:
        """Bring the readout to the body rank. Collective."""
        self._contribution[0] = bool(self._stop)
        wait(self._comm.Ireduce(self._contribution, self._sum, op=MPI.SUM, root=BODY_RANK))

    def share(self) -> None:
        """Bring the stimulus, and the decision whether to stop, to all ranks. Collective."""
        if self._sum is not None:
            self._decision[0] = FAILED if self._stop.failure else STOP if self._stop or self._sum[0] else GO
        wait(self._comm.Ibcast(self._decision, root=BODY_RANK))

    @property
    def stop_agreed(self) -> bool:
        """Whether the last `share` told all ranks to stop."""
        return self._decision[0] != GO

    @property
    def failed(self) -> bool:
        """Whether that was because something failed on the body rank."""
        return self._decision[0] == FAILED
