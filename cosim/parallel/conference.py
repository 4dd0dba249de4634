# SPDX-License-Identifier: GPL-2.0-or-later
"""What the body rank asks of all brain ranks between two steps, and what they reply. For rounds of steering.

Messages are pickled and of any size. Whoever waits naps, as a pause may last for hours, but is awake within 20 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cosim.parallel.stop import StopSign
from cosim.parallel.world import BODY_RANK, World, wait_briefly

ORDER_TAG, REPLY_TAG = 21, 22


@dataclass(frozen=True)
class Reply:
    """Of one brain rank: what came out, or in one line what it refused; the signal that it got, 0 for none."""

    result: Any = None
    refusal: str = ""
    signal: int = 0


class Conference:
    """Orders from the body rank to all brain ranks, each of which replies once to each of them."""

    def __init__(self, world: World, stop: StopSign) -> None:
        self._comm, self._stop = world.comm, stop

    def ask(self, order: Any) -> list[Reply]:
        """Send an order to all brain ranks and wait for their replies, in the order of ranks. Body rank.

        A signal that one of them got asks this rank to stop.
        """
        brains = [rank for rank in range(self._comm.size) if rank != BODY_RANK]
        for rank in brains:
            self._comm.send(order, rank, ORDER_TAG)
        replies = [self._receive(rank, REPLY_TAG) for rank in brains]
        if signal := max(reply.signal for reply in replies):
            self._stop.on_signal(signal)
        return replies

    def hear(self) -> Any:
        """The next order; waits for it. Brain ranks."""
        return self._receive(BODY_RANK, ORDER_TAG)

    def reply(self, result: Any = None, refusal: str = "") -> None:
        """Answer the order that was heard last. Brain ranks."""
        self._comm.send(Reply(result, refusal, self._stop.signal), BODY_RANK, REPLY_TAG)

    def _receive(self, rank: int, tag: int) -> Any:
        wait_briefly(lambda: self._comm.Iprobe(rank, tag))
        return self._comm.recv(source=rank, tag=tag)
