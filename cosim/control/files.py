# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands as files in ``RUN/control``: what works wherever the disk is shared, with the file system as authentication.

A thread looks for them: 20 times a second while the run stands still and for ten minutes after somebody last sent
something, once a second otherwise.
A look costs some 20 us here, but on a shared file system it is a question to a server that thousands of other jobs ask,
too, and most runs are never touched. Nothing announces a file that another machine wrote; looking is the only way.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from cosim.control import private
from cosim.control.inbox import Letter
from cosim.control.messages import MOST_BYTES, decode_command, encode_answer, refusal
from cosim.errors import ConfigurationError

CONTROL = "control"
ANSWERS, STATE, SOCKET, KEYS = "answers", "state.json", "socket.json", "keys"
COMMAND_NAME = re.compile(r"\d{1,20}-\d+-\d+\.json")

LOOK_S, IDLE_LOOK_S, IDLE_AFTER_S = 0.05, 1.0, 600.0
# However much lies in the folder, looking takes no more than one part in so many of the thread's time.
REST = 20
# Answers that nobody fetched, and files that nobody finished, are taken away after a while.
KEPT_S, TIDY_S = 600.0, 60.0
# A client that waits looks often enough to fetch the last answer before the folder goes.
FAREWELL_S = 1.0

log = logging.getLogger("cosim")


def control_folder(run: Path) -> Path:
    """Where commands to a run go."""
    return run / CONTROL


def state_file(run: Path) -> Path:
    """How the run stands (step, paused, ...), for everybody who may steer it."""
    return control_folder(run) / STATE


class FileListener:
    """Delivers commands that come as files, and writes the answers to them.

    Whatever else lies in the folder is left alone: half files, folders, pipes, links, files of others.
    """

    def __init__(self, run: Path, deliver: Callable[[Letter], None]) -> None:
        """Make ``run/control`` and begin to look; what a run that died left there is taken away.

        Raises:
            ConfigurationError: the folder cannot be made, or is there and not private.
        """
        self._deliver = deliver
        self._outgoing: SimpleQueue[tuple[str, bytes] | None] = SimpleQueue()
        self._touched = self._tidied = time.monotonic()
        self._answered = -FAREWELL_S
        self._trouble, self._is_gone = "", False
        # This descriptor leads to the folder also after the run was renamed, as one that goes on is.
        self._run = os.open(run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._make_folder()
            shutil.rmtree(CONTROL, ignore_errors=True, dir_fd=self._run)
            self._make_folder()
        except OSError as error:
            os.close(self._run)
            raise ConfigurationError(f"{control_folder(run)}: {error.strerror}") from None
        self._thread = threading.Thread(target=self._listen, name="cosim commands by files", daemon=True)
        self._thread.start()

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the run into the folder. Raises OSError."""
        with private.opened_in(self._run, CONTROL) as folder:
            private.write(folder, name, content)

    def expect(self) -> None:
        """Somebody will send something, as the run stands still for him: look often from now on. Any thread."""
        self._touched = time.monotonic()

    def stop(self) -> None:
        """Take no more commands."""
        self._outgoing.put(None)
        self._thread.join()

    def close(self) -> None:
        """After `stop`: write the answers that are left, give clients time to fetch them, and remove the folder."""
        self._hand_out(0.0)
        while self._are_answers_left() and time.monotonic() < self._answered + FAREWELL_S:
            time.sleep(LOOK_S)
        shutil.rmtree(CONTROL, ignore_errors=True, dir_fd=self._run)
        os.close(self._run)

    def _make_folder(self) -> None:
        private.make_folder(self._run, CONTROL)
        with private.opened_in(self._run, CONTROL) as folder:
            private.make_folder(folder, ANSWERS)
            with private.opened_in(folder, ANSWERS):
                pass

    def _listen(self) -> None:
        goes_on = True
        while goes_on:
            began = time.monotonic()
            self._look_anyway()
            ended = time.monotonic()
            goes_on = self._hand_out(pause_s(ended - began, ended - self._touched))

    def _hand_out(self, for_s: float) -> bool:
        """Write answers as they come, for so long; False when the run has ended."""
        end = time.monotonic() + for_s
        while True:
            try:
                answer = self._outgoing.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                return True
            if answer is None:
                return False
            self._write_answer(*answer)

    def _look_anyway(self) -> None:
        """Look for commands; if that fails, say so once, and look again later."""
        try:
            self._look()
            self._trouble = ""
        except OSError as error:
            trouble = f"{CONTROL}: {error.strerror}"
            if trouble != self._trouble:
                log.warning("no commands can come as files: %s", trouble)
            self._trouble = trouble

    def _look(self) -> None:
        try:
            with private.opened_in(self._run, CONTROL) as folder:
                self._take_all(folder)
                if time.monotonic() > self._tidied + TIDY_S:
                    self._tidy(folder)
            self._is_gone = False
        except FileNotFoundError:
            # Not at once: who deletes the whole run would find a new folder in it.
            if self._is_gone:
                self._make_folder()
            self._is_gone = True

    def _take_all(self, folder: int) -> None:
        for name in sorted(filter(COMMAND_NAME.fullmatch, os.listdir(folder))):
            self._take(folder, name)

    def _take(self, folder: int, name: str) -> None:
        """Take one command; what cannot be removed would act again at each look, and is left alone."""
        answer = partial(self._answer, name)
        command, who, wrong = _read_command(folder, name)
        if not private.remove(folder, name):
            return
        self._touched = time.monotonic()
        if wrong:
            answer(refusal(wrong))
        else:
            self._deliver(Letter(command, who, answer))

    def _answer(self, name: str, answer: dict[str, Any]) -> None:
        self._outgoing.put((name, encode_answer(answer)))

    def _write_answer(self, name: str, content: bytes) -> None:
        try:
            with private.opened_in(self._run, CONTROL) as folder, private.opened_in(folder, ANSWERS) as answers:
                private.write(answers, name, content)
            self._answered = time.monotonic()
        except OSError as error:
            log.warning("an answer to a command is lost: %s", error)

    def _are_answers_left(self) -> bool:
        try:
            with private.opened_in(self._run, CONTROL) as folder, private.opened_in(folder, ANSWERS) as answers:
                return bool(os.listdir(answers))
        except OSError:  # somebody removed them
            return False

    def _tidy(self, folder: int) -> None:
        self._tidied = time.monotonic()
        for name in os.listdir(folder):
            if name.startswith("."):
                _remove_old(folder, name)
        with private.opened_in(folder, ANSWERS) as answers:
            for name in os.listdir(answers):
                _remove_old(answers, name)


def pause_s(took_s: float, untouched_s: float) -> float:
    """How long to wait after a look that took so long, in a run that nobody touched for so long."""
    return max(LOOK_S if untouched_s < IDLE_AFTER_S else IDLE_LOOK_S, REST * took_s)


def _read_command(folder: int, name: str) -> tuple[dict[str, Any], str, str]:
    """A command, who sent it, and what is wrong with it."""
    try:
        return *decode_command(private.read(folder, name, MOST_BYTES)), ""
    except OSError as error:
        return {}, "", f"{name}: {error.strerror}"
    except ValueError as error:
        return {}, "", str(error)


def _remove_old(folder: int, name: str) -> None:
    with suppress(OSError):  # gone meanwhile
        if time.time() > os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime + KEPT_S:
            private.remove(folder, name)
