# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer functions are tried before they act: on ports, memories and a module that nobody else uses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

from cosim.errors import FAILURES, nearest
from cosim.experiment import usercode
from cosim.record.returned import recordable
from cosim.transfer.function import BoundFunction, Now, Surroundings
from cosim.transfer.mark import mark_of, transfer_function
from cosim.transfer.memories import Memories
from cosim.transfer.module import OWN_PORTS, TransferFunction, marked, parameters, unlike_shared
from cosim.transfer.trigger import problems as trigger_problems


def check(file: Path, ports: Mapping[str, object], coupling_step_ms: float = 20.0) -> list[str]:
    """Problems of the transfer functions in ``file``: unknown ports, and whatever a call at t_ms = 0 raises.

    The call is a rehearsal on ``ports`` that nobody else uses and on a module of its own, which is forgotten
    afterwards: it meets wrong shapes and misspelt attributes before NEST starts, and leaves no trace in the run.
    Functions that are called now and then only are called, too.
    """
    module = usercode.load_transfer_functions(file)
    functions = marked(module)
    problems = [*_nothing_to_do(module), *unlike_shared(functions)]
    for name, function in functions.items():
        problems += misfits(name, function, ports, coupling_step_ms)
    around = Surroundings({}, Now(coupling_step_ms), Memories(seed=1)).spare(ports)
    problems = problems or [*_rehearsed(functions, around)]
    return [f"{file}: {problem}" for problem in problems]


def misfits(
    name: str, function: TransferFunction, ports: Mapping[str, object], coupling_step_ms: float
) -> Iterator[str]:
    """What of a function does not fit to an experiment with these ports and this coupling step."""
    allowed = [*ports, *OWN_PORTS]
    for parameter in parameters(function):
        if parameter not in allowed:
            yield f"{name}: unknown port {parameter!r}; {nearest(parameter, allowed)}"
    mark = mark_of(function)
    assert mark
    yield from (f"{name}: {problem}" for problem in trigger_problems(mark, ports, coupling_step_ms))


def rehearse(function: BoundFunction, now: Now, check_returned: Callable[[object], object] = recordable) -> None:
    """Call a function that is bound to spare ports, and check what it returns. Raises ValueError of one line."""
    try:
        returned = function.call_anyway(now.step, now.t_ms)
    except FAILURES as error:
        raise ValueError(f"{function.name}: {function.told(error)}") from error
    try:
        check_returned(returned)
    except ValueError as error:
        raise ValueError(f"{function.name}: {error}") from None


def _rehearsed(functions: Mapping[str, TransferFunction], around: Surroundings) -> Iterator[str]:
    for name, function in functions.items():
        try:
            rehearse(BoundFunction(name, function, around), around.now)
        except ValueError as error:
            yield str(error)


def _nothing_to_do(module: ModuleType) -> Iterator[str]:
    """A file of functions among which none is called is a mistake."""
    functions = [name for name, value in vars(module).items() if inspect.isfunction(value)]
    others = [name for name in functions if name != transfer_function.__name__]
    if others and not marked(module) and not {*others} & {*usercode.CALLED_AT_THE_END}:
        yield f"no function is marked with @transfer_function, so none would be called; there are {', '.join(others)}"
