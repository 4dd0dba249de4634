# SPDX-License-Identifier: GPL-2.0-or-later
"""The name that a program gives to what a running call returns, read from the statement around the call."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from types import FrameType

Span = tuple[int, int, int, int]
"""First line, first column, last line, last column."""
Statement = ast.Assign | ast.AnnAssign | ast.Return


def assigned_name(frames: Iterable[FrameType]) -> str | None:
    """The name for what the call that runs in the first of ``frames`` returns; each was called by the next.

    It is ``E`` in ``E = call()``, ``self.E = call()``, ``cells["E"] = call()``, ``cells = {"E": call()}`` and
    ``E = [call() for ...]``; a returned value gets its name from the caller. None where nothing names it.
    """
    for frame in frames:
        call = _running_call(frame)
        statements = _statements(frame.f_code.co_filename)
        statement = next((each for each in statements if _holds(each, call)), None)
        if call is None or statement is None:
            return None
        if not isinstance(statement, ast.Return):
            return _name(statement, call)
    return None


@lru_cache
def _statements(file: str) -> list[Statement]:
    """Those that name a value or hand it on. None of them can stand within another one."""
    tree = ast.parse("".join(linecache.getlines(file)))
    return [each for each in ast.walk(tree) if isinstance(each, Statement)]


def _running_call(frame: FrameType) -> Span | None:
    """Where the call that ``frame`` waits for stands; None if Python was told not to keep it."""
    instructions = frame.f_code.co_positions()
    line, last_line, column, last_column = next(islice(instructions, frame.f_lasti // 2, None))
    if line is None or column is None or last_line is None or last_column is None:
        return None
    return line, column, last_line, last_column


def _holds(node: ast.expr | ast.stmt, call: Span | None) -> bool:
    if call is None:
        return False
    return (node.lineno, node.col_offset) <= call[:2] and call[2:] <= (node.end_lineno, node.end_col_offset)


def _name(statement: ast.Assign | ast.AnnAssign, call: Span) -> str | None:
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    match target, statement.value:
        case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
            target = next(each for each, value in zip(targets, values, strict=True) if _holds(value, call))
        case _, ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and _holds(value, call):
                    return str(key.value)
    return _name_of_target(target)


def _name_of_target(target: ast.expr) -> str | None:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return key
        case ast.Subscript(value=container):
            return _name_of_target(container)
    return None
