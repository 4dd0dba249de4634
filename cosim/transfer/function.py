# SPDX-License-Identifier: GPL-2.0-or-later
"""One transfer function with all that it is called with."""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Mapping, MutableMapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from cosim.transfer.mark import mark_of
from cosim.transfer.memories import Memories
from cosim.transfer.module import TransferFunction, parameters, variables
from cosim.transfer.trigger import Trigger


@dataclass
class Now:
    """The time of a round of calls."""

    coupling_step_ms: float
    step: int = 0

    @property
    def t_ms(self) -> float:
        """The end of ``step`` steps."""
        return self.step * self.coupling_step_ms


@dataclass(frozen=True)
class Surroundings:
    """What functions are bound to."""

    ports: Mapping[str, object]
    now: Now
    memory: Memories
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("cosim"))

    def spare(self, ports: Mapping[str, object]) -> Surroundings:
        """The same for a rehearsal on other ``ports``: it leaves no trace in memories and logs. Raises ValueError."""
        try:
            memory = deepcopy(self.memory)
        except Exception as error:  # whatever a user's variable says when it is copied
            told = " ".join(str(error).split())
            raise ValueError(f"no rehearsal, as a variable holds what cannot be copied: {told}") from None
        silent = logging.Logger("rehearsal")
        silent.disabled = True
        return Surroundings(ports, replace(self.now), memory, silent)


class FunctionLog(logging.LoggerAdapter):
    """The ``log`` of a function: says when, and which function, before each text."""

    def __init__(self, log: logging.Logger, now: Now, name: str) -> None:
        super().__init__(log, {})
        self._now, self._name = now, name

    def process(self, text: Any, settings: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Called by the logger for each text."""
        return f"step {self._now.step} ({self._now.t_ms:g} ms) {self._name}: {text}", settings


class BoundFunction:
    """A transfer function, called ``name``, on its ports."""

    def __init__(self, name: str, function: TransferFunction, around: Surroundings) -> None:
        mark = mark_of(function)
        assert mark  # that is how functions are found
        self.name, self.function, self.mark = name, function, mark
        self.log = FunctionLog(around.log, around.now, name)
        self._arguments = self._bind(around)
        wanted = parameters(function)
        self._wants_time, self._wants_step = "t_ms" in wanted, "step" in wanted
        step_ms = around.now.coupling_step_ms
        self._trigger = None if mark.is_always_due else Trigger(mark, around.ports, step_ms)

    def _bind(self, around: Surroundings) -> dict[str, object]:
        wanted = parameters(self.function)
        own: dict[str, object] = {"log": self.log}
        if "random" in wanted:
            own["random"] = around.memory.random(self.name)
        known = {**around.ports, **own}
        memory = around.memory.variables(self.name, variables(self.function))
        return {**{name: known[name] for name in wanted if name in known}, **memory}

    @property
    def port_names(self) -> list[str]:
        """Its parameters, as far as they have no default."""
        return parameters(self.function)

    def call(self, step: int, t_ms: float) -> object:
        """Call it at the end of ``step`` steps and return what it returns; None if it is not due."""
        if self._trigger is not None and not self._trigger.is_due(step):
            return None
        return self.call_anyway(step, t_ms)

    def call_anyway(self, step: int, t_ms: float) -> object:
        """Call it, due or not."""
        if self._wants_time:
            self._arguments["t_ms"] = t_ms
        if self._wants_step:
            self._arguments["step"] = step
        return self.function(**self._arguments)

    def reset(self) -> None:
        """Forget when it was called last."""
        if self._trigger is not None:
            self._trigger.reset()

    def told(self, error: BaseException) -> str:
        """An exception of it in a line, with the last line of its file on the way there.

        The error itself may lie deeper, in a port or a library.
        """
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if code and frame.filename == code.co_filename]
        line = lines[-1] if lines else code.co_firstlineno if code else "?"
        return f"{type(error).__name__} in line {line}: {' '.join(str(error).split())}"
