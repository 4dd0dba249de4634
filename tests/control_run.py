# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as the channel sees it: a results folder that somebody writes, a listener, and who answers what comes in."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from cosim.control.channel import Channel
from cosim.control.inbox import Inbox, Letter
from cosim.control.listener import Listener
from cosim.record.folder import RunFolder
from cosim.record.owner import claim

NOBODY = 65534


class ToyRun:
    """Answers ``echo`` with what came, ``silence`` never, everything else with an error; keeps what it took."""

    def __init__(self, path: Path, endpoint: str | None = None) -> None:
        self.path, self.taken = path, []
        folder = RunFolder(path)
        folder.shard_folder.mkdir(parents=True, exist_ok=True)
        folder.config_file.touch()
        self.owner = claim(folder)
        folder.built_file.touch()
        self._arrived, self._is_over = threading.Event(), False
        self.inbox = Inbox(self._arrived.set)
        self.listener = Listener(path, self.inbox, endpoint)
        self._thread = threading.Thread(target=self._answer_all)
        self._thread.start()

    @property
    def control(self) -> Path:
        return self.path / "control"

    def _answer_all(self) -> None:
        while not self._is_over:
            self._arrived.wait()
            self._arrived.clear()
            while letter := self.inbox.take():
                self._answer(letter)

    def _answer(self, letter: Letter) -> None:
        self.taken.append(letter.command)
        if letter.command["command"] == "echo":
            letter.answer({"ok": True, "echo": letter.command, "who": letter.who})
        elif letter.command["command"] != "silence":
            letter.answer({"ok": False, "error": f"unknown command {letter.command['command']}"})

    def stop_answering(self) -> None:
        self._is_over = True
        self._arrived.set()
        self._thread.join()

    def die(self) -> None:
        """As a process that is killed: nobody has its lock any more, and its folder stays."""
        os.close(self.owner)
        self.owner = None

    def close(self) -> None:
        self.stop_answering()
        self.listener.close()
        if self.owner is not None:
            os.close(self.owner)


@contextmanager
def toy_run(path: Path, endpoint: str | None = None) -> Iterator[ToyRun]:
    made = ToyRun(path, endpoint)
    try:
        yield made
    finally:
        made.close()


def echo(channel: Channel, value: object) -> object:
    """What comes back through a channel."""
    answer = channel.send({"command": "echo", "value": value})
    assert answer["ok"], answer
    return answer["echo"]["value"]


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def last_words(path: Path, endpoint: str | None = None, state: str = "ended") -> dict:
    """The answer to ``stop``, which a run gives when its results are complete and its folder is nobody's any more."""
    run = ToyRun(path, endpoint)
    with Channel(path) as channel, ThreadPoolExecutor(1) as thread:
        run.stop_answering()
        answer = thread.submit(channel.send, {"command": "stop"})
        wait_until(lambda: not run.inbox.is_empty)
        RunFolder(path).remove_shards()
        run.die()
        time.sleep(0.2)
        run.inbox.take().answer({"ok": True, "state": state})
        run.close()
        return answer.result()


def in_child(act: Callable[[], None], user: int | None = None) -> int:
    """How ``act`` ended in a process that was forked from this one: 0 if well, 1 if it raised, or minus a signal."""
    child = os.fork()
    if child == 0:
        try:
            if user is not None:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            act()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
