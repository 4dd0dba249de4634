# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer functions: plain Python functions of an experiment that connect brain and body. Body rank only.

A transfer function is marked with ``@transfer_function``; its parameters are ports, found by name: spike sinks, spike
sources, what the body offers (such as ``muscles``, ``joints`` and ``tip``), ``protocol`` (the experiment's own
settings), ``t_ms`` and ``step``. Parameters with a default value are left alone.

All are called once before the first step (t_ms = 0, nothing read yet) and then at the end of every step, in the order
in which the file defines them. ``t_ms`` is the time of the call and ``step`` the number of steps done; what a call
writes acts from that time on for one step, what it does not write stays as it was.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Protocol

from cosim.errors import nearest
from cosim.experiment import usercode

_MARK = "_cosim_transfer_function"

CLOCK_PORTS = ("t_ms", "step")


def transfer_function(function: Callable[..., None]) -> Callable[..., None]:
    """Mark a function of ``transfer.py`` to be called at every coupling step.

    Its parameters are ports, found by name; it can still be called by hand, for instance in a test:

    Examples:
        >>> from types import SimpleNamespace
        >>> from cosim import transfer_function
        >>> @transfer_function
        ... def see(light_sensors, left_light):
        ...     left_light.rate_hz = 4000.0 * light_sensors.left
        >>> source = SimpleNamespace(rate_hz=0.0)
        >>> see(SimpleNamespace(left=0.25), source)
        >>> source.rate_hz
        1000.0

    Raises:
        TypeError: a generator or a coroutine, of which a call would do nothing.
    """
    kinds = (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    if any(is_kind(function) for is_kind in kinds):
        name = function.__name__
        raise TypeError(f"{name}: a transfer function must be a plain function, without yield and async")
    setattr(function, _MARK, True)
    return function


class StimulusMaker(Protocol):
    """What makes the stimuli of a run, step by step."""

    @property
    def names(self) -> Sequence[str]:
        """For the log."""

    def apply(self, step: int) -> None:
        """Set the stimulus that acts after ``step`` steps."""


class TransferFunctions:
    """The transfer functions of an experiment, bound to their ports."""

    def __init__(self, module: ModuleType, ports: Mapping[str, object], coupling_step_ms: float) -> None:
        self._calls = [(function, _arguments(function, ports)) for function in _marked(module)]
        self._coupling_step_ms = coupling_step_ms

    @property
    def names(self) -> list[str]:
        """In the order in which they are called."""
        return [function.__name__ for function, _ in self._calls]

    def apply(self, step: int) -> None:
        """Call all in order, at the end of ``step`` steps; an exception ends the round."""
        clock = {"t_ms": step * self._coupling_step_ms, "step": step}
        for function, (bound, wanted) in self._calls:
            function(**bound, **{name: clock[name] for name in wanted})


def wanted_ports(module: ModuleType) -> list[str]:
    """What the transfer functions in ``module`` ask for, by name."""
    return [name for function in _marked(module) for name in _parameters(function)]


def check(file: Path, ports: Mapping[str, object]) -> list[str]:
    """Problems of the transfer functions in ``file``: unknown ports, and whatever a call at t_ms = 0 raises.

    The call is a rehearsal on ``ports`` that nobody else uses and on a module of its own, which is forgotten
    afterwards: it meets wrong shapes and misspelt attributes before NEST starts, and leaves no trace in the run.
    """
    module = usercode.load_transfer_functions(file)
    problems = [f"{file}: {problem}" for problem in (*_nothing_to_do(module), *_unknown_ports(module, ports))]
    return problems or [f"{file}: {problem}" for problem in _rehearse(module, ports)]


def _marked(module: ModuleType) -> list[Callable[..., None]]:
    return [value for value in vars(module).values() if getattr(value, _MARK, False)]


def _parameters(function: Callable[..., None]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [parameter.name for parameter in parameters if parameter.default is inspect.Parameter.empty]


def _arguments(function: Callable[..., None], ports: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    names = _parameters(function)
    return {name: ports[name] for name in names if name in ports}, [name for name in names if name in CLOCK_PORTS]


def _nothing_to_do(module: ModuleType) -> Iterator[str]:
    """A file of functions among which none is called is a mistake."""
    functions = [name for name, value in vars(module).items() if inspect.isfunction(value)]
    others = [name for name in functions if name != transfer_function.__name__]
    if others and not _marked(module) and not {*others} & {*usercode.CALLED_AT_THE_END}:
        yield f"no function is marked with @transfer_function, so none would be called; there are {', '.join(others)}"


def _unknown_ports(module: ModuleType, ports: Mapping[str, object]) -> Iterator[str]:
    allowed = [*ports, *CLOCK_PORTS]
    for function in _marked(module):
        for name in _parameters(function):
            if name not in allowed:
                yield f"{function.__name__}: unknown port {name!r}; {nearest(name, allowed)}"


def _rehearse(module: ModuleType, ports: Mapping[str, object]) -> Iterator[str]:
    for function in _marked(module):
        bound, wanted = _arguments(function, ports)
        try:
            function(**bound, **dict.fromkeys(wanted, 0))
        except (Exception, SystemExit) as error:
            line = _line_in(str(module.__file__), error) or function.__code__.co_firstlineno
            yield f"{function.__name__}: {type(error).__name__} in line {line}: {error}"


def _line_in(file: str, error: BaseException) -> int | None:
    """The last line of ``file`` on the way to ``error``, which may lie deeper, in a port or a library."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None
