# SPDX-License-Identifier: GPL-2.0-or-later
"""What a ``transfer.py`` says of its transfer functions, before any of them is bound to ports."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

from cosim.transfer.mark import mark_of
from cosim.transfer.variable import Variable

CLOCK_PORTS = ("t_ms", "step")
OWN_PORTS = (*CLOCK_PORTS, "log", "random")
"""Parameters that are no ports of the experiment, but of the function itself."""

TransferFunction = Callable[..., Any]


def marked(module: ModuleType) -> dict[str, TransferFunction]:
    """The transfer functions of a module, in the order of its file, by the names that they have there."""
    return {name: value for name, value in vars(module).items() if mark_of(value)}


def wanted_ports(module: ModuleType) -> list[str]:
    """What the transfer functions in ``module`` ask for, by name."""
    return [name for function in marked(module).values() for name in (*parameters(function), *condition(function))]


def parameters(function: TransferFunction) -> list[str]:
    """The parameters without a default value."""
    found = inspect.signature(function).parameters.values()
    return [parameter.name for parameter in found if parameter.default is inspect.Parameter.empty]


def condition(function: TransferFunction) -> list[str]:
    """The port that decides whether the function is called; empty without ``when``."""
    mark = mark_of(function)
    return [mark.when.partition(".")[0]] if mark and mark.when else []


def variables(function: TransferFunction) -> dict[str, Variable]:
    """The variables of a function, by parameter, as they begin."""
    found = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in found if isinstance(each.default, Variable)}


def unlike_shared(functions: Mapping[str, TransferFunction]) -> Iterator[str]:
    """Problems of variables that are shared under one name and begin with different values."""
    first: dict[str, tuple[str, Variable]] = {}
    for function, parameter, each in _shared(functions):
        other, its = first.setdefault(str(each.shared), (function, each))
        if not each.begins_as(its):
            yield f"{function}: {parameter} = {each!r}: must begin as in {other}, which has {its!r}"


def _shared(functions: Mapping[str, TransferFunction]) -> Iterator[tuple[str, str, Variable]]:
    for name, function in functions.items():
        yield from ((name, parameter, each) for parameter, each in variables(function).items() if each.shared)
