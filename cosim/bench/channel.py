# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a command to a run takes that answers at once: what the channel itself costs, without any step."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from cosim.control.channel import Channel
from cosim.control.inbox import Inbox
from cosim.control.listener import OPEN_SOCKET, Listener
from cosim.record.folder import RunFolder
from cosim.record.owner import claim


def round_trips(folder: Path, by_file: int, by_socket: int) -> dict[str, list[float]]:
    """Times from sending to the answer, in s: so many through ``files``, then so many through the ``socket``.

    ``folder`` is an empty one; its file system is the one that is measured. Neither MPI nor NEST takes part. Without
    any by socket, pyzmq is not needed.
    """
    with _answering(folder), Channel(folder) as channel:
        measured = {"files": _times(channel, by_file)}
        if by_socket:
            channel.send({"command": OPEN_SOCKET})
            channel.send({"command": "nothing"})  # connects
            measured["socket"] = _times(channel, by_socket)
    return measured


def _times(channel: Channel, count: int) -> list[float]:
    moments = [time.perf_counter()]
    for _ in range(count):
        channel.send({"command": "nothing"})
        moments.append(time.perf_counter())
    return [later - earlier for earlier, later in pairwise(moments)]


@contextmanager
def _answering(folder: Path) -> Iterator[None]:
    """A thread in place of a run, with its folder."""
    run = RunFolder(folder)
    run.shard_folder.mkdir(parents=True)
    owner = claim(run)
    arrived, is_over = threading.Event(), threading.Event()
    inbox = Inbox(arrived.set)
    listener = Listener(folder, inbox)
    thread = threading.Thread(target=_answer_all, args=(inbox, arrived, is_over))
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        arrived.set()
        thread.join()
        listener.close()
        os.close(owner)


def _answer_all(inbox: Inbox, arrived: threading.Event, is_over: threading.Event) -> None:
    while not is_over.is_set():
        arrived.wait()
        arrived.clear()
        while letter := inbox.take():
            letter.answer({"ok": True})
