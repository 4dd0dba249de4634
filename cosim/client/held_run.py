# SPDX-License-Identifier: GPL-2.0-or-later
"""A run that goes on, as everything here needs it: where it is, what is known of it, and the way for commands."""

from __future__ import annotations

import json
import math
import time
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cosim.body import kinds as body_kinds
from cosim.client.known import devices_of, files_of, steps_on_disk, within
from cosim.client.process import LaunchedRun
from cosim.control.channel import Channel, ChannelError, NoAnswer
from cosim.devices.devices import Devices, make_ports
from cosim.engines.built import BuiltPopulation
from cosim.errors import CommandError, RunError
from cosim.experiment.config import Clock
from cosim.record import populations
from cosim.record.commands import Obeyed
from cosim.record.folder import RunFolder
from cosim.record.owner import living_owner
from cosim.record.summary import FOLLOWED_BY
from cosim.results import shards
from cosim.results.run_data import RunData
from cosim.results.spikes import Spikes

ANSWER_S = 60.0
LOOK_S = 0.05
# Between the end of a run and the beginning of the one after it nobody writes: both are told by files.
HANDOVER_S = 10.0
PAUSED, RUNS, ENDED = "paused", "runs", "ended"


class Driving(Protocol):
    """What a loop of this program tells of the run meanwhile."""

    number: int
    """Steps done."""


class Unanswered(RunError):
    """No answer came in time; ``taken`` is as of `cosim.control.channel.NoAnswer`."""

    def __init__(self, message: str, taken: bool | None) -> None:
        super().__init__(message)
        self.taken = taken


class HeldRun:
    """The run in ``folder``; ``launched`` are its processes if this program started it.

    Where another program resets the whole run, this one goes along to the new folder with its next command.

    Attributes:
        folder: the results folder.
        earlier: folders of the runs before a full reset, first one first.
        driven: the step of a loop of this program that takes part in every step, while there is one.
    """

    def __init__(self, folder: Path, launched: LaunchedRun | None = None) -> None:
        self.folder, self.earlier = folder, list[Path]()
        self.driven: Driving | None = None
        self._launched = launched
        self._open_channel: Channel | None = None

    # Where it is.

    @property
    def is_alive(self) -> bool:
        """Whether its processes still run, perhaps writing results."""
        if self._launched:
            return self._launched.is_alive
        self._follow()
        return bool(living_owner(self._files))

    @property
    def is_driven(self) -> bool:
        """Whether a loop of this program takes part in every step; commands have to wait then."""
        return self.driven is not None

    @property
    def state(self) -> str:
        """``paused``, ``runs`` or ``ended``."""
        return self._here()[0]

    @property
    def steps_done(self) -> int:
        """Coupling steps done."""
        _, steps = self._here()
        return len(self.results.exchange_time_ms) if steps is None else steps

    @property
    def t_ms(self) -> float:
        """Time of the model."""
        return self.steps_done * self.step_ms

    @cached_property
    def clock(self) -> Clock:
        """All clocks."""
        return Clock.model_validate(self.config["clock"])

    @property
    def steps(self) -> int:
        """Coupling steps after which the run ends."""
        return self.clock.steps

    @property
    def step_ms(self) -> float:
        """The coupling step."""
        return self.clock.coupling_step_ms

    @cached_property
    def config(self) -> dict[str, Any]:
        """The effective configuration, with which it began."""
        return tomllib.loads(self._files.config_file.read_text())

    @cached_property
    def devices(self) -> Devices:
        """Its sources and sinks."""
        return devices_of(self.config, self.built_populations)

    @cached_property
    def built_populations(self) -> dict[str, BuiltPopulation]:
        """The populations of the brain, by name."""
        return {each.name: each for each in populations.read(self._files.populations_file)}

    @property
    def results(self) -> RunData:
        """What is on disk now, as `cosim.load` gives it."""
        return RunData(self._files.path)

    @property
    def commands(self) -> list[Obeyed]:
        """All commands that were obeyed, those of other programs included, with step, wall time and who sent them."""
        return self.results.commands

    @cached_property
    def device_ports(self) -> Mapping[str, object]:
        """Ports like those of its sinks and sources, that stand alone."""
        devices = self.devices
        return make_ports(devices, np.zeros(devices.readout_size), np.zeros(devices.stimulus_size))

    @cached_property
    def body_ports(self) -> Mapping[str, object]:
        """Ports like those of its body, that stand alone; none without a body."""
        file = self._files.body_file
        return body_kinds.make_ports(body_kinds.load(file)) if file.exists() else {}

    # What it did.

    def spikes(self, last_ms: float | None = None) -> dict[str, Spikes]:
        """Spikes of each recorded population in the last ``last_ms``, by default in all of the run."""
        found = self._recorded_spikes(last_ms)
        if last_ms is None:
            return found
        start_ms = steps_on_disk(self.folder) * self.step_ms - last_ms
        return {name: within(each, start_ms) for name, each in found.items()}

    def _recorded_spikes(self, last_ms: float | None) -> dict[str, Spikes]:
        """Those of the last ``last_ms`` or more."""
        if not shards.are_in(self._files):
            return dict(self.results.spikes)
        recorded = [each for each in self.built_populations.values() if each.recorded]
        done = steps_on_disk(self.folder)
        first = 0 if last_ms is None else max(0, done - math.ceil(last_ms / self.step_ms))
        found = shards.read_spikes(self._files, recorded, range(first, done))
        return {name: Spikes(*each) for name, each in found.items()}

    # When it stands still.

    def pause(self) -> float:
        """Stand still after the running step; returns the time of the model then, in ms."""
        return self.send({"command": "pause"})["t_ms"]

    def wait(self, timeout_s: float | None = None) -> str:
        """Wait until the run stands still or has ended; returns which, ``paused`` or ``ended``.

        Raises:
            TimeoutError: it does neither.
        """
        last = time.monotonic() + timeout_s if timeout_s is not None else None
        while (state := self._last_state()) == RUNS:
            if last is not None and time.monotonic() > last:
                raise TimeoutError(f"{self.folder}: still runs after {timeout_s:g} s")
            time.sleep(LOOK_S)
        return state

    def _last_state(self) -> str:
        """As the run wrote it when it began or ceased to stand still: to ask it would cost it time in each step."""
        with suppress(RunError, ChannelError):
            if self.is_alive and self._channel.state().get("state") == RUNS:
                return RUNS
        return self.state

    # Commands.

    def send(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Send any command and return its answer; the other methods are made of this.

        Raises:
            CommandError: it was refused.
            RunError: the run does not answer, or has ended.
        """
        return self._send(command, ANSWER_S)

    def send_and_wait(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """As `send`, for as long as it takes; whoever interrupts it makes the run stand still after its step."""
        try:
            return self._send(command, math.inf)
        except KeyboardInterrupt:
            with suppress(CommandError, RunError):
                self.pause()
            raise

    def _send(self, command: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        if self.is_driven:
            raise CommandError(f"{command['command']}: must wait until the loop of this program has ended")
        answer = self._answer(command, timeout_s)
        while answer is None:
            if not self._follow():
                raise RunError(f"{self.folder}: has ended{self.why_ended()}")
            answer = self._answer(command, timeout_s)
        if not answer["ok"]:
            raise CommandError(answer["error"])
        return answer

    def _answer(self, command: Mapping[str, Any], timeout_s: float) -> dict[str, Any] | None:
        """The answer; None if the run has ended without taking the command."""
        try:
            answer = self._channel.send(dict(command), timeout_s)
        except NoAnswer as error:
            raise Unanswered(f"{error}{self.why_ended()}", error.taken) from None
        except ChannelError as error:
            if self._files.summary_file.exists():
                return None
            raise RunError(f"{error}{self.why_ended()}") from None
        return answer if answer["ok"] or answer.get("state") != ENDED else None

    @property
    def _channel(self) -> Channel:
        """The way to the run, opened when it is needed first; ChannelError if there is none."""
        if self._open_channel is None:
            self._open_channel = Channel(self.folder)
        return self._open_channel

    def connect(self) -> None:
        """Open the way to the run. Raises RunError if there is none."""
        self.close()
        try:
            self._open_channel = Channel(self.folder)
        except ChannelError as error:
            raise RunError(str(error)) from None

    def close(self) -> None:
        """Let go of the run; it goes on. The next command takes hold of it again."""
        if self._open_channel:
            self._open_channel.close()
        self._open_channel = None

    def _here(self) -> tuple[str, int | None]:
        """State and steps done, as the loop or the run tells; None if it has ended, and its results tell."""
        if self.driven is not None:
            return RUNS, self.driven.number
        if self.is_alive:
            try:
                answer = self.send({"command": "status"})
                return answer["state"], answer["step"]
            except RunError:
                if self.is_alive and not self._files.summary_file.exists():
                    raise
        self._follow()
        return ENDED, None

    @property
    def _files(self) -> RunFolder:
        return files_of(self.folder)

    def why_ended(self) -> str:
        """The last lines that the run printed, for a message; empty if it still runs, or is not ours."""
        if self._launched is None or self._launched.is_alive:
            return ""
        return f"\n{self._launched.last_lines()}"

    def _follower(self) -> Path | None:
        """The folder in which the run began anew, if it did."""
        file = self._files.summary_file
        name = json.loads(file.read_text()).get(FOLLOWED_BY) if file.exists() else None
        return self.folder.parent / name if name else None

    def _follow(self) -> bool:
        """Go along if the run began anew in another folder; whether it did."""
        first = self.folder
        while follower := self._follower():
            self._move_to(follower)
        return self.folder != first

    def _move_to(self, folder: Path) -> None:
        """Go along with the run to a new folder, where it is built again; returns when it stands."""
        before = self._files
        self._await_built(before, RunFolder(folder))
        self.earlier.append(self.folder)
        self.folder = folder
        self.close()
        for name in ("clock", "config", "devices", "built_populations", "device_ports", "body_ports"):
            self.__dict__.pop(name, None)
        with suppress(RunError):  # the next command says what has become of it
            self._answer({"command": "status"}, math.inf)

    def _await_built(self, before: RunFolder, new: RunFolder) -> None:
        """Return when the ``new`` run stands, or has ended. RunError if it never will."""
        last = time.monotonic() + HANDOVER_S
        while not (new.built_file.exists() or new.summary_file.exists()):
            if self._launched.is_alive if self._launched else living_owner(before) or living_owner(new):
                last = time.monotonic() + HANDOVER_S
            if time.monotonic() > last or (self._launched and not self._launched.is_alive):
                raise RunError(f"{new.path}: the run has ended before it was built{self.why_ended()}")
            time.sleep(LOOK_S)
