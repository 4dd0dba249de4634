# SPDX-License-Identifier: GPL-2.0-or-later
"""A body file (TOML) and its description; everything that is wrong with one is said at once."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cosim.body.kind import Description

Described = TypeVar("Described", bound=BaseModel)


def read(path: Path) -> dict[str, Any]:
    """The tables of the file at ``path``.

    Raises FileNotFoundError where there is no such file, and ValueError where it is no TOML.
    """
    try:
        return tomllib.loads(path.read_text())
    except ValueError as error:  # also of text that is no UTF-8
        raise ValueError(f"{path}: not valid TOML: {error}") from error


def describe(path: Path, content: dict[str, Any], kind: type[Description]) -> Description:
    """The description of ``kind`` that ``content``, read from ``path``, gives.

    Raises one ValueError that lists every problem found, each with the element, the value and what is
    allowed.
    """
    description = validate(path, content, kind)
    problems = description.problems()
    if problems:
        raise refusal(path, problems)
    return description


def validate(path: Path, content: dict[str, Any], kind: type[Described]) -> Described:
    """``content``, read from ``path``, as a ``kind``; how its parts refer to each other is not checked.

    Raises ValueError as `describe` does.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise refusal(path, [_explain(content, problem) for problem in error.errors()]) from error


def refusal(path: Path, problems: list[str]) -> ValueError:
    """The error that lists ``problems`` of the file at ``path``."""
    return ValueError("\n  ".join([f"{path}: {len(problems)} problem(s) in this file", *problems]))


def _explain(content: dict, problem: ErrorDetails) -> str:
    """One line for one of pydantic's errors."""
    silent = problem["type"] == "missing" or isinstance(problem["input"], dict)
    shown = "" if silent else f" = {problem['input']!r}"
    return f"{_place(content, problem['loc'])}{shown}: {problem['msg'].removeprefix('Value error, ')}"


def _place(content: dict, location: tuple) -> str:
    """``location`` in pydantic's sense as text, with the names of elements instead of bare indices."""
    where, value = "", content
    for key in location:
        if isinstance(value, dict) and key in (value.get("type"), value.get("kind")):
            continue  # pydantic inserts the kind of joint or shape; the file has no such level
        value = _entry(value, key)
        name = value.get("name", key) if isinstance(value, dict) else key
        where += f"[{name}]" if isinstance(key, int) else f".{key}"
    return where.lstrip(".")


def _entry(value, key):
    """What is at ``key`` in the list or table ``value``; None where the file has nothing there."""
    if isinstance(value, dict):
        return value.get(key)
    return value[key] if isinstance(value, list) and key < len(value) else None
