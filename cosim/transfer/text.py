# SPDX-License-Identifier: GPL-2.0-or-later
"""The text of a transfer.py, and of functions that are written while a run goes on."""

from __future__ import annotations

import ast
import inspect
import io
import linecache
import textwrap
import tokenize
from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from types import ModuleType
from typing import Any

from cosim.errors import FAILURES
from cosim.transfer.mark import Mark, mark_of, transfer_function
from cosim.transfer.module import TransferFunction, marked
from cosim.transfer.variable import variable

# What the text of a function may use without an import.
GIVEN = {"transfer_function": transfer_function, "variable": variable}
EVERY_STEP = Mark()
_numbers = count(1)


@dataclass(frozen=True)
class Definition:
    """The text of one function, from which it can be made; tracebacks show its lines."""

    name: str
    text: str
    file: str
    """What Python takes for the name of its file."""
    mark: Mark
    """What a text without a decorator is marked with."""
    is_decorated: bool

    @classmethod
    def of(cls, text: str, mark: Mark = EVERY_STEP) -> Definition:
        """Read a text. Raises ValueError with the line that is wrong."""
        if not isinstance(text, str):
            raise ValueError(f"{text!r}: must be the text of a function")
        text = f"{textwrap.dedent(_with_newlines(text)).rstrip()}\n"
        try:
            body = ast.parse(text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # also of a thousand brackets
            number = getattr(error, "lineno", None)
            line = f"line {number}: " if number else ""
            raise ValueError(f"{line}{getattr(error, 'msg', error)}") from None
        if len(body) != 1 or not isinstance(body[0], (ast.FunctionDef, ast.AsyncFunctionDef)):
            wrong = next((each for each in body if not isinstance(each, ast.FunctionDef)), body[-1] if body else None)
            line = f"line {wrong.lineno}: " if wrong else ""
            raise ValueError(f"{line}the text must be that of one function, def NAME(...), and nothing else")
        file = f"<{body[0].name}, written during the run, {next(_numbers)}>"
        return cls(body[0].name, text, file, mark, bool(body[0].decorator_list))

    @property
    def source(self) -> str:
        """The text with its mark."""
        text = self.text.lstrip("\n")
        return text if self.is_decorated else f"{self.mark.decorator()}\n{text}"

    def make(self, namespace: dict[str, Any]) -> TransferFunction:
        """The function, which sees ``namespace`` as its module. Raises ValueError of one line."""
        linecache.cache[self.file] = (len(self.text), None, _lines(self.text), self.file)
        made: dict[str, Any] = {name: value for name, value in GIVEN.items() if name not in namespace}
        try:
            exec(compile(self.text, self.file, "exec"), namespace, made)
            function = made[self.name] if self.is_decorated else transfer_function(**vars(self.mark))(made[self.name])
        except FAILURES as error:
            line = _line_of(error, self.file)
            raise ValueError(f"{self.name}: {line}{type(error).__name__}: {' '.join(str(error).split())}") from None
        if not mark_of(function):
            raise ValueError(f"{self.name}: its decorators must mark it: @transfer_function, or none")
        return function


def _line_of(error: BaseException, file: str) -> str:
    """Where in the file an error came up, for a message; nothing if it is not known."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: "
    lines, trace = [], error.__traceback__
    while trace:
        lines += [trace.tb_lineno] if trace.tb_frame.f_code.co_filename == file else []
        trace = trace.tb_next
    return f"line {lines[-1]}: " if lines else ""


class ModuleText:
    """The text of a ``transfer.py`` with all that was changed while it ran."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._original = _read(getattr(module, "__file__", None))
        self._places = _places(self._original)
        self._made_elsewhere = marked(module).keys() - self._places.keys()
        self._edited: dict[str, str] = {}
        self._added: dict[str, str] = {}
        self._removed: set[str] = set()

    def add(self, name: str, source: str) -> None:
        """A function is new; it stands at the end."""
        self._added[name] = source

    def edit(self, name: str, source: str) -> None:
        """A function has another source now."""
        is_in_place = name in self._places and name not in self._added
        (self._edited if is_in_place else self._added)[name] = source

    def remove(self, name: str) -> None:
        """A function is no longer there."""
        if name not in self._added or name in self._made_elsewhere:
            self._removed.add(name)
        for each in (self._added, self._edited):
            each.pop(name, None)

    def source(self, name: str, function: TransferFunction) -> str:
        """The source of a function that is there. Raises ValueError for one that was not written in a file."""
        if changed := self._added.get(name) or self._edited.get(name):
            return changed
        if name in self._places:
            return "".join(_lines(self._original)[self._places[name]])
        try:
            return textwrap.dedent(inspect.getsource(function))
        except (OSError, TypeError):
            raise ValueError(f"{name}: it was not written as text in a file") from None

    def text(self, switched_off: Collection[str] = ()) -> str:
        """The whole file as it is now. Functions that are ``switched_off`` are there as comments."""
        lines, pieces, end = _lines(self._original), [], 0
        for name, place in self._places.items():
            pieces += lines[end : place.start]
            if name not in self._removed:
                source = self._edited.get(name, "".join(lines[place]))
                pieces.append(_shown(source, name in switched_off and name not in self._added))
            end = place.stop
        pieces += lines[end:]
        gone = self._made_elsewhere & {*self._removed, *switched_off}
        pieces += [f"\n\ndel {name}\n" for name in sorted(gone)]
        pieces += [f"\n\n{_shown(source, name in switched_off)}" for name, source in self._added.items()]
        return self._with_imports("".join(pieces).lstrip("\n"))

    def _with_imports(self, text: str) -> str:
        """With an import of what the texts of changed functions were given; behind the docstring of the file."""
        used = {name for source in (*self._edited.values(), *self._added.values()) for name in GIVEN if name in source}
        missing = sorted(used - vars(self._module).keys())
        if not missing:
            return text
        lines, place = _lines(text), _first_statement(text)
        is_function = "".join(lines[place : place + 1]).startswith(("@", "def"))
        line = f"from cosim import {', '.join(missing)}\n" + ("\n\n" if is_function else "")
        return "".join([*lines[:place], line, *lines[place:]])


def _read(file: str | None) -> str:
    """The text of a Python file in the encoding that it declares; of none, nothing."""
    if file is None:
        return ""
    with tokenize.open(file) as lines:
        return lines.read()


def _with_newlines(text: str) -> str:
    """A text with the ends of lines that Python's own files have."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _lines(text: str) -> list[str]:
    """As Python counts them, for which a form feed ends no line."""
    return io.StringIO(text).readlines()


def _places(text: str) -> dict[str, slice]:
    """The lines of each function that is defined at the top of a file, with its decorators, in their order."""
    found: dict[str, slice] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            found.pop(node.name, None)  # the last one of a name is the one that counts
            found[node.name] = slice(first - 1, node.end_lineno)
    return found


def _first_statement(text: str) -> int:
    """The number of lines before the first statement that is no docstring and no import from the future."""
    for node in ast.parse(text).body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (is_text or (isinstance(node, ast.ImportFrom) and node.module == "__future__")):
            decorators = getattr(node, "decorator_list", [])
            return min([node.lineno, *(each.lineno for each in decorators)]) - 1
    return len(_lines(text))


def _shown(source: str, is_off: bool) -> str:
    return "".join(f"# {line}" for line in _lines(source)) if is_off else source
