# SPDX-License-Identifier: GPL-2.0-or-later
"""A copy of what the functions of a module see, in which a function can be tried without a trace."""

from __future__ import annotations

from copy import deepcopy
from types import FunctionType, ModuleType
from typing import Any


def spare_namespace(module: ModuleType) -> dict[str, Any]:
    """The names of a module: its own functions see the copy, too, and data are copied.

    What Python cannot copy, such as an open file, is the same in both.
    """
    spare: dict[str, Any] = {}
    memo: dict[int, Any] = {}
    for name, value in vars(module).items():
        is_own = isinstance(value, FunctionType) and value.__globals__ is vars(module)
        spare[name] = _moved(value, spare) if is_own else value if name.startswith("__") else _copied(value, memo)
    return spare


def _moved(function: FunctionType, namespace: dict[str, Any]) -> FunctionType:
    moved = FunctionType(function.__code__, namespace, function.__name__, function.__defaults__, function.__closure__)
    moved.__kwdefaults__ = function.__kwdefaults__
    vars(moved).update(vars(function))
    return moved


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    try:
        return deepcopy(value, memo)
    except Exception:  # anything may stand in a user's module, and say anything when it is copied
        return value
