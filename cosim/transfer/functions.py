# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer functions of a run: called in order, and changed while it goes on. Body rank only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from types import MappingProxyType, ModuleType
from typing import Literal, Protocol

import numpy as np

from cosim.errors import FAILURES, nearest
from cosim.experiment import usercode
from cosim.record.failed import FailedFunction
from cosim.record.returned import ReturnedValues, recordable
from cosim.transfer.function import BoundFunction, Now, Surroundings
from cosim.transfer.memories import Memories
from cosim.transfer.module import marked, unlike_shared
from cosim.transfer.ports import Ports, SteeredPorts
from cosim.transfer.rehearsal import misfits, rehearse
from cosim.transfer.spare import spare_namespace
from cosim.transfer.text import Definition, ModuleText


class StimulusMaker(Protocol):
    """What makes the stimuli of a run, step by step."""

    @property
    def names(self) -> Sequence[str]:
        """For the log."""

    def apply(self, step: int) -> None:
        """Set the stimulus that acts after ``step`` steps."""


class TransferFunctions:
    """The transfer functions of an experiment, bound to their ports.

    A function that is switched off as it failed is told to ``tell_failed``.
    ``spare_ports`` makes ports that stand alone, to rehearse what is changed while the run goes on; ``sources`` are
    the places of the sources in the stimulus, by name. What functions return goes to ``returned``, if that is given;
    the `text` to ``keep`` whenever it has changed.

    All that changes something raises a ValueError of one line if it is refused, and has changed nothing then.
    """

    def __init__(
        self,
        module: ModuleType,
        ports: Ports,
        coupling_step_ms: float,
        *,
        seed: int = 1,
        on_error: Literal["stop", "disable"] = "stop",
        spare_ports: Callable[[], Ports] | None = None,
        sources: Mapping[str, np.ndarray] = MappingProxyType({}),
        tell_failed: Callable[[FailedFunction], None] = lambda failed: None,
        returned: ReturnedValues | None = None,
        keep: Callable[[str], None] | None = None,
    ) -> None:
        self._module, self._text = module, ModuleText(module)
        self._now, self._memory = Now(coupling_step_ms), Memories(seed)
        self._around = Surroundings(ports, self._now, self._memory)
        self._on_error, self._returned, self._keep = on_error, returned, keep
        self._spare_ports = spare_ports or (lambda: deepcopy(dict(ports)))
        self._steered = SteeredPorts(ports, self._spare_ports)
        self._sources, self._silenced = sources, dict[str, dict[str, np.ndarray]]()
        self._tell_failed = tell_failed
        found = marked(module)
        self._functions = {name: BoundFunction(name, each, self._around) for name, each in found.items()}
        self._off: dict[str, dict[str, str]] = {}
        self._arrange()

    def _arrange(self) -> None:
        """Settle who is called, in which order. A round that goes on keeps to the order before."""
        enabled = [each for name, each in self._functions.items() if name not in self._off]
        self._calls = sorted(enabled, key=lambda each: -each.mark.priority)

    def _has_changed(self) -> None:
        """Functions are others, or others are called."""
        self._arrange()
        if self._keep is not None:
            self._keep(self.text())

    @property
    def names(self) -> list[str]:
        """Those that are called, in the order in which they are."""
        return [each.name for each in self._calls]

    def apply(self, step: int) -> None:
        """Call all that are due in order, at the end of ``step`` steps; an exception ends the round, or the function.

        Then what is held is set again.
        """
        self._now.step = step
        t_ms = step * self._now.coupling_step_ms
        for each in self._calls:
            try:
                returned = each.call(step, t_ms)
                if returned is not None and self._returned is not None:
                    self._returned.put(step, each.name, returned)
            except FAILURES as error:
                if self._on_error == "stop":
                    raise
                self._fail(each, error)
        if self._steered.held:
            self._steered.write_held()

    def _fail(self, function: BoundFunction, error: BaseException) -> None:
        message = function.told(error)
        function.log.error("switched off: %s", message)
        self._tell_failed(FailedFunction(function.name, self._now.step, message))
        self._off[function.name] = {"state": "failed", "message": message}
        self._has_changed()

    # What can be done while a run goes on, between two steps.

    @property
    def states(self) -> dict[str, dict[str, str]]:
        """``state`` (enabled, disabled or failed) and ``message`` (why it failed) of each function, by name."""
        enabled = {"state": "enabled", "message": ""}
        return {name: dict(self._off.get(name, enabled)) for name in self._functions}

    @property
    def held(self) -> dict[str, object]:
        """The values that are held, by ``port.attribute``."""
        return {".".join(place): value for place, value in self._steered.held.items()}

    def source(self, name: str) -> str:
        """The text of a function as it is now."""
        return self._text.source(name, self._known(name).function)

    def text(self) -> str:
        """The text of the whole ``transfer.py`` as it is now; functions that are switched off are comments in it."""
        return self._text.text(self._off.keys())

    def add(self, text: str) -> str:
        """Add a function and return its name. It is called behind all others of its priority.

        ``text`` is its definition. It sees all that the module of the functions holds. It is rehearsed first.
        """
        definition = Definition.of(text)
        name = definition.name
        if name in self._functions:
            raise ValueError(f"{name}: a transfer function of this name is there already; edit it, or remove it first")
        if name in vars(self._module) or name in usercode.CALLED_AT_THE_END:
            raise ValueError(f"{name}: must be another name, which means nothing else in transfer.py")
        self._rehearse(definition)
        self._put(definition, self._text.add)
        return name

    def edit(self, name: str, text: str) -> None:
        """Replace a function by another of the same name, which is rehearsed first; it keeps its place.

        A text without a decorator keeps the one of before. Variables keep their values if they keep their names and
        their kind: shared or not, number, text, array of a shape. A function that had failed is enabled again.
        """
        definition = Definition.of(text, self._known(name).mark)
        if definition.name != name:
            raise ValueError(f"{name}: the text must define it, but defines {definition.name}")
        self._rehearse(definition)
        self._put(definition, self._text.edit)
        if self._off.get(name, {}).get("state") == "failed":
            self.enable(name)

    def _put(self, definition: Definition, change_text: Callable[[str, str], None]) -> None:
        name, function = definition.name, definition.make(vars(self._module))
        self._functions[name] = BoundFunction(name, function, self._around)
        setattr(self._module, name, function)
        change_text(name, definition.source)
        self._has_changed()

    def _rehearse(self, definition: Definition) -> None:
        """Raises ValueError if the function cannot be made, does not fit, fails, or returns what is not recorded."""
        name, ports = definition.name, self._spare_ports()
        function = definition.make(spare_namespace(self._module))
        others = {each.name: each.function for each in self._functions.values() if each.name != name}
        problems = [*misfits(name, function, ports, self._now.coupling_step_ms)]
        problems += unlike_shared({**others, name: function})
        if problems:
            raise ValueError(problems[0])
        around = self._around.spare(ports)
        check = partial(self._returned.check, name) if self._returned is not None else recordable
        rehearse(BoundFunction(name, function, around), around.now, check)

    def remove(self, name: str) -> None:
        """Take a function away, with its memory. What it wrote stays as it is."""
        self._known(name)
        del self._functions[name]
        for each in (self._off, self._silenced):
            each.pop(name, None)
        delattr(self._module, name)
        self._memory.forget(name)
        self._text.remove(name)
        self._has_changed()

    def disable(self, name: str, silence: bool = False) -> None:
        """Call a function no longer. What it wrote stays as it is.

        With ``silence`` the sources among its parameters are set to 0, and get their values back when it is enabled.
        """
        function = self._known(name)
        self._off[name] = {"state": "disabled", "message": ""}
        self._has_changed()
        if silence and name not in self._silenced:
            mine = {port: self._sources[port] for port in function.port_names if port in self._sources}
            self._silenced[name] = {port: values.copy() for port, values in mine.items()}
            for values in mine.values():
                values[:] = 0.0

    def enable(self, name: str) -> None:
        """Call a function again, from the next round on."""
        self._known(name)
        self._off.pop(name, None)
        for port, values in self._silenced.pop(name, {}).items():
            self._sources[port][:] = values
        self._has_changed()

    def reset(self) -> None:
        """Give all variables and random generators back what they began with, and enable functions that had failed.

        Functions that were edited stay so, and ports keep their values.
        """
        self._memory.reset()
        for each in self._functions.values():
            each.reset()
        self._off = {name: known for name, known in self._off.items() if known["state"] != "failed"}
        self._has_changed()

    def set_port(self, port: str, attribute: str, value: object) -> None:
        """Set a value of a port. It acts from the next step on, and stays until a function sets it, too."""
        self._steered.set(port, attribute, value)

    def hold_port(self, port: str, attribute: str, value: object) -> None:
        """Set a value of a port after every round of functions, whatever they set."""
        self._steered.hold(port, attribute, value)

    def release_port(self, port: str, attribute: str) -> None:
        """Hold a value no longer."""
        self._steered.release(port, attribute)

    def send(self, port: str, times_ms: object, neurons: object = None) -> None:
        """Send spikes in the coming step through a port that can."""
        self._steered.send(port, times_ms, neurons)

    def _known(self, name: str) -> BoundFunction:
        if not isinstance(name, str) or name not in self._functions:
            raise ValueError(f"no transfer function is called {name!r}; {nearest(str(name), self._functions)}")
        return self._functions[name]
