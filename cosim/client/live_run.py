# SPDX-License-Identifier: GPL-2.0-or-later
"""A run that goes on, held by a Python program."""

from __future__ import annotations

import math
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from cosim.client import views
from cosim.client.loop import LoopStep, OwnLoop
from cosim.client.process import LaunchedRun
from cosim.control.channel import Channel, ChannelError
from cosim.devices.devices import Devices
from cosim.engines.built import BuiltPopulation
from cosim.errors import CommandError, RunError
from cosim.experiment.config import Clock
from cosim.record import populations
from cosim.record.commands import Obeyed
from cosim.record.folder import RunFolder
from cosim.record.owner import living_owner
from cosim.results import shards
from cosim.results.run_data import RunData
from cosim.results.spikes import Spikes

ANSWER_S = 60.0
LOOK_S = 0.05
ENDED = "ended"


class LiveRun:
    """A run that goes on: made by `cosim.start` or `cosim.attach`.

    Commands act between two coupling steps, on all ranks alike; each is written to ``run.h5``. A command that is
    refused raises CommandError, a ValueError, and leaves the run as it was. What is read comes from the run's files:
    it is complete up to the step while the run is paused; while it runs it is up to a second old, or as old as the last
    step.

    As a context manager it finishes a run that it started, and lets go of one that it attached to.

    Attributes:
        folder: the results folder.
        earlier: folders of the runs before a full reset, first one first.
        ports: sinks, sources and the ports of the body by name: ``run.ports["left_light"].rate_hz = 5000``.
        body: the ports of the body: ``run.body.joints["humerus_radius"].angle_rad``; push, place and hold its parts.
        transfer: transfer functions by name: ``run.transfer["actuate"].edit(text)``.
        is_driven: whether a loop of this program takes part in every step.
    """

    def __init__(self, folder: Path, launched: LaunchedRun | None = None) -> None:
        self.folder, self.earlier = folder, list[Path]()
        self._launched = launched
        self._channel = _channel(folder)
        self.is_driven = False
        self.ports, self.body, self.transfer = views.Ports(self), views.Body(self), views.Functions(self)

    def __repr__(self) -> str:
        return f"<run {self.folder}: {self._told()}>"

    def _told(self) -> str:
        if not self.is_alive:
            return ENDED
        here = self._here()
        return f"{here['state']}, {here['step']} of {self.steps} steps done, {here['t_ms']:g} ms"

    # Where it is.

    @property
    def is_alive(self) -> bool:
        """Whether its processes still run, perhaps writing results."""
        if self._launched:
            return self._launched.is_alive
        return bool(living_owner(self._files))

    @property
    def state(self) -> str:
        """``paused``, ``runs`` or ``ended``."""
        return self._here()["state"] if self.is_alive else ENDED

    @property
    def steps_done(self) -> int:
        """Coupling steps done."""
        return self._here()["step"] if self.is_alive else len(self.results.exchange_time_ms)

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
        return views.devices_of(self.config, self.built_populations)

    @cached_property
    def built_populations(self) -> dict[str, BuiltPopulation]:
        """The populations of the brain, by name."""
        return {each.name: each for each in populations.read(self._files.populations_file)}

    @property
    def results(self) -> RunData:
        """What is on disk now, as `cosim.load` gives it."""
        return RunData(self.folder)

    @property
    def commands(self) -> list[Obeyed]:
        """All commands that were obeyed, those of other programs included, with step, wall time and who sent them."""
        return self.results.commands

    # Going on.

    def step(self, steps: int = 1) -> float:
        """Do so many coupling steps and stand still; returns the time of the model then, in ms.

        Whoever interrupts it makes the run stand still after its step.
        """
        return self.send_and_wait({"command": "step", "steps": steps})["t_ms"]

    def run_until(self, t_ms: float) -> float:
        """Go on until this time of the model, a multiple of the coupling step; as `step`."""
        return self.send_and_wait({"command": "run_until", "t_ms": t_ms})["t_ms"]

    def go(self) -> None:
        """Go on, up to the end of the run, and return at once."""
        self.send({"command": "go"})

    def pause(self) -> float:
        """Stand still after the running step; returns the time of the model then, in ms."""
        return self.send({"command": "pause"})["t_ms"]

    def pace(self, factor: float | None) -> None:
        """Run at most at ``factor`` times real time; None: as fast as it can."""
        self.send({"command": "pace", "factor": factor})

    def wait(self, timeout_s: float | None = None) -> str:
        """Wait until the run stands still or has ended; returns which, ``paused`` or ``ended``.

        Raises:
            TimeoutError: it does neither.
        """
        last = time.monotonic() + timeout_s if timeout_s is not None else None
        while (state := self.state) == "runs":
            if last is not None and time.monotonic() > last:
                raise TimeoutError(f"{self.folder}: still runs after {timeout_s:g} s")
            time.sleep(LOOK_S)
        return state

    def finish(self, timeout_s: float | None = None) -> RunData:
        """End the run after its step, wait until its results are written, and return them.

        Raises:
            RunError: the run failed.
            TimeoutError: it has not ended by then; it goes on to.
        """
        if self.is_alive:
            self._ask_to_end()
            self._await_end(timeout_s)
        if self._launched and self._launched.exit_code == 1:
            raise RunError(f"{self.folder}: the run failed{self.why_ended()}")
        return self.results

    def _ask_to_end(self) -> None:
        try:
            self._send({"command": "stop"}, math.inf)
        except RunError:
            if self._launched:
                self._launched.end()
            elif self.is_alive:
                raise

    def _await_end(self, timeout_s: float | None) -> None:
        if self._launched:
            self._launched.wait(timeout_s)
            return
        last = time.monotonic() + timeout_s if timeout_s is not None else None
        while self.is_alive:
            if last is not None and time.monotonic() > last:
                raise TimeoutError(f"{self.folder}: the run has not ended within {timeout_s:g} s")
            time.sleep(LOOK_S)

    def reset(self, what: str = "all", seed: int | None = None, set: Mapping[str, Any] = {}) -> None:
        """Begin anew: with ``all`` of the run, or its ``body``, ``transfer`` functions or ``brain``.

        After a full reset the run goes on in a new folder, paused before its first step; that of before has its results
        and is the last of ``earlier``. It may have another ``seed`` and values ``set``. What else is reset begins as at
        0 ms, while the time of the run goes on.
        """
        from cosim.client.session import as_toml

        overrides = [f"{key}={as_toml(value)}" for key, value in set.items()]
        overrides += [] if seed is None else [f"seed={seed}"]
        command = {"command": "reset", "what": what} | ({"overrides": overrides} if overrides else {})
        answer = self._send(command, math.inf)
        if what == "all":
            self._move_to(Path(answer["folder"]))

    def _move_to(self, folder: Path) -> None:
        """Follow the run to a new folder, where it is built again; returns when it stands."""
        self._channel.close()
        while not RunFolder(folder).built_file.exists():
            if not self.is_alive:
                raise RunError(f"{folder}: the run has ended{self.why_ended()}")
            time.sleep(LOOK_S)
        self.earlier.append(self.folder)
        self.folder = folder
        for name in ("clock", "config", "devices", "built_populations"):
            self.__dict__.pop(name, None)
        self._channel = _channel(folder)
        self._send({"command": "status"}, math.inf)

    # Looking and touching.

    def population(self, name: str) -> views.PopulationView:
        """A population of the brain, or a part of it such as ``E[0:10]``."""
        return views.PopulationView(self, name)

    def spikes(self, last_ms: float | None = None) -> dict[str, Spikes]:
        """Spikes of each recorded population in the last ``last_ms``, by default in all of the run."""
        found = self._recorded_spikes(last_ms)
        if last_ms is None:
            return found
        start_ms = views.steps_on_disk(self.folder) * self.step_ms - last_ms
        return {name: views.within(each, start_ms) for name, each in found.items()}

    def _recorded_spikes(self, last_ms: float | None) -> dict[str, Spikes]:
        """Those of the last ``last_ms`` or more."""
        if not shards.are_in(self._files):
            return dict(self.results.spikes)
        recorded = [each for each in self.built_populations.values() if each.recorded]
        done = views.steps_on_disk(self.folder)
        first = 0 if last_ms is None else max(0, done - math.ceil(last_ms / self.step_ms))
        found = shards.read_spikes(self._files, recorded, range(first, done))
        return {name: Spikes(*each) for name, each in found.items()}

    def scale_weights(self, source: str, target: str, factor: float) -> int:
        """Multiply the weights of all synapses from one population to another; returns how many there are."""
        command = {"command": "scale_weights", "source": source, "target": target, "factor": factor}
        return self.send(command)["synapses"]

    def set_protocol(self, **values: Any) -> None:
        """Set values of the experiment's ``[protocol]``, which transfer functions find under this name."""
        for key, value in values.items():
            self.send({"command": "set_protocol", "key": key, "value": views.as_json(value)})

    def mark(self, text: str) -> None:
        """Write a text down beside the time."""
        self.send({"command": "mark", "text": text})

    # A loop of one's own.

    def loop(self) -> OwnLoop:
        """A loop of this program that takes part in every step; see `OwnLoop`. It must be on the run's machine."""
        return OwnLoop(self)

    def __iter__(self) -> Iterator[LoopStep]:
        """The state before each step, to the end of the run; what is written to it acts in the step.

        Before the first one the run is paused; when the loop is left it does one more step and stands still.
        """
        with self.loop() as loop:
            while not loop.is_over:
                yield loop.step
                loop.advance()

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
        try:
            answer = self._channel.send(dict(command), timeout_s)
        except ChannelError as error:
            raise RunError(f"{error}{self.why_ended()}") from None
        if not answer["ok"]:
            raise CommandError(answer["error"])
        return answer

    def _here(self) -> dict[str, Any]:
        return self.send({"command": "status"})

    @property
    def _files(self) -> RunFolder:
        return RunFolder(self.folder)

    def why_ended(self) -> str:
        """The last lines that the run printed, for a message; empty if it still runs, or is not ours."""
        if self._launched is None or self._launched.is_alive:
            return ""
        return f"\n{self._launched.last_lines()}"

    def __enter__(self) -> LiveRun:
        return self

    def __exit__(self, *_: object) -> None:
        if self._launched:
            self.finish()
        self._channel.close()


def _channel(folder: Path) -> Channel:
    """The way to the run in ``folder``; RunError if there is none."""
    try:
        return Channel(folder)
    except ChannelError as error:
        raise RunError(str(error)) from None
