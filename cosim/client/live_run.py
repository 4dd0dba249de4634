# SPDX-License-Identifier: GPL-2.0-or-later
"""A run that goes on, held by a Python program."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cosim.client import views
from cosim.client.acted import Acted
from cosim.client.held_run import LOOK_S, HeldRun, Unanswered
from cosim.client.known import as_json, settings
from cosim.client.loop import LoopStep, OwnLoop
from cosim.client.process import LaunchedRun
from cosim.errors import CommandError, RunError
from cosim.results.run_data import RunData


class LiveRun(HeldRun):
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
        super().__init__(folder, launched)
        self.ports, self.body, self.transfer = views.PortViews(self), views.BodyView(self), views.FunctionViews(self)

    def __repr__(self) -> str:
        return f"<run {self.folder}: {self._told()}>"

    def _told(self) -> str:
        try:
            state, steps = self._here()
            if steps is None:
                return state
            return f"{state}, {steps} of {self.steps} steps done, {steps * self.step_ms:g} ms"
        except (RunError, CommandError, OSError, LookupError) as error:
            return " ".join(str(error).split())

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

    def pace(self, factor: float | None) -> None:
        """Run at most at ``factor`` times real time; None: as fast as it can."""
        self.send({"command": "pace", "factor": factor})

    def finish(self, timeout_s: float | None = None) -> RunData:
        """End the run after its step, wait until its results are written, and return them.

        Raises:
            RunError: the run failed.
            TimeoutError: it has not ended by then; it goes on to.
        """
        last = math.inf if timeout_s is None else time.monotonic() + timeout_s
        if self.is_alive:
            self._ask_to_end(last)
        while self.is_alive:
            if time.monotonic() > last:
                raise TimeoutError(f"{self.folder}: the run has not ended within {timeout_s:g} s")
            time.sleep(LOOK_S)
        self._follow()
        if self._launched and self._launched.has_failed:
            code = self._launched.exit_code
            raise RunError(f"{self.folder}: the run failed, with exit code {code}{self.why_ended()}")
        return self.results

    def _ask_to_end(self, last: float) -> None:
        """By a command; the processes of a run that is ours and does not take it are asked by a signal."""
        try:
            self._send({"command": "stop"}, max(0.0, last - time.monotonic()))
        except RunError as error:
            has_it = isinstance(error, Unanswered) and error.taken is not False
            if self._launched and not has_it:
                self._launched.end()
            elif self.is_alive and time.monotonic() < last:
                raise

    def reset(self, what: str = "all", seed: int | None = None, set: Mapping[str, Any] = {}) -> None:
        """Begin anew: with ``all`` of the run, or its ``body``, ``transfer`` functions or ``brain``.

        After a full reset the run goes on in a new folder, paused before its first step; that of before has its results
        and is the last of ``earlier``. It may have another ``seed`` and values ``set``. What else is reset begins as at
        0 ms, while the time of the run goes on.
        """
        overrides = settings({**set} | ({} if seed is None else {"seed": seed}))
        command = {"command": "reset", "what": what} | ({"overrides": overrides} if overrides else {})
        answer = self._send(command, math.inf)
        if what == "all":
            self._move_to(Path(answer["folder"]))

    # Looking and touching.

    def population(self, name: str) -> views.PopulationView:
        """A population of the brain, or a part of it such as ``E[0:10]``."""
        return views.PopulationView(self, name)

    @property
    def populations(self) -> dict[str, views.PopulationView]:
        """All populations of the brain, by name."""
        return {name: self.population(name) for name in self.built_populations}

    @property
    def protocol(self) -> dict[str, Any]:
        """The values of the experiment's ``[protocol]`` as they are now; `set_protocol` changes them."""
        changed = (each.what for each in self.commands if each.what["command"] == "set_protocol")
        return {**self.config.get("protocol", {}), **{what["key"]: what["value"] for what in changed}}

    def scale_weights(self, source: str, target: str, factor: float) -> int:
        """Multiply the weights of all synapses from one population to another; returns how many there are."""
        command = {"command": "scale_weights", "source": source, "target": target, "factor": factor}
        return self.send(command)["synapses"]

    def set_protocol(self, **values: Any) -> None:
        """Set values of the experiment's ``[protocol]``, which transfer functions find under this name."""
        acted = Acted("set already")
        for key, value in values.items():
            with acted.one(key):
                self.send({"command": "set_protocol", "key": key, "value": as_json(value)})

    def mark(self, text: str) -> None:
        """Write a text down beside the time."""
        self.send({"command": "mark", "text": text})

    def save(self, target: Path | str) -> None:
        """Keep it as it is by now, as an experiment or as a script; see `RunData.save`."""
        self.results.save(target)

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

    def __enter__(self) -> LiveRun:
        return self

    def __exit__(self, *_: object) -> None:
        if self._launched:
            self.finish()
        self.close()
