# SPDX-License-Identifier: GPL-2.0-or-later
"""Python files that users write: ``transfer.py`` of an experiment, ``network.py`` of a brain model.

They are loaded and what cosim calls in them is checked here, so that a mistake is told with its file before
NEST starts. Body rank only.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

from cosim.errors import ConfigurationError
from cosim.experiment import neighbours
from cosim.experiment.search import offer_models
from cosim.table import Table

# What cosim calls in a transfer.py besides transfer functions, by name and with these arguments.
CALLED_AT_THE_END = {"summarize": ["run"], "tell": ["summary"]}


def load_module(file: Path) -> ModuleType:
    """Run a Python file as a module of its own, fresh at every call; it may import what lies beside it.

    Raises:
        ConfigurationError: it is missing, raises, or exits.
    """
    if not file.is_file():
        raise ConfigurationError(f"{file}: no such file")
    offer_models()
    try:
        return neighbours.load(file)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(f"{file}: {type(error).__name__}: {error}{_place_beside(file, error)}") from error


def _place_beside(file: Path, error: BaseException) -> str:
    """Where in another file of its folder an error was raised."""
    places = [each for each in traceback.extract_tb(error.__traceback__) if Path(each.filename).parent == file.parent]
    is_elsewhere = places and places[-1].filename != str(file)
    return f" (in {places[-1].filename}, line {places[-1].lineno})" if is_elsewhere else ""


def load_optional_module(file: Path) -> ModuleType:
    """`load_module`, or an empty module where there is no such file."""
    return load_module(file) if file.exists() else ModuleType(file.stem)


def load_transfer_functions(file: Path) -> ModuleType:
    """Run ``transfer.py``; an empty module where there is none. It is loaded anew at every call.

    Raises:
        ConfigurationError: it cannot be run, or what is called in it at the end takes other arguments.
    """
    module = load_optional_module(file)
    for name, arguments in CALLED_AT_THE_END.items():
        function(module, name, arguments)
    return module


def table_class(module: ModuleType, name: str, default: type[Table]) -> type[Table]:
    """The class of this name, which declares the keys of a table; ``default`` where there is none.

    Raises:
        ConfigurationError: it is something else.
    """
    found = getattr(module, name, default)
    if not (isinstance(found, type) and issubclass(found, Table)):
        allowed = "must be a class derived from cosim.Table"
        raise ConfigurationError(f"{module.__file__}: {name} = {found!r}: {allowed}")
    return found


def function(module: ModuleType, name: str, arguments: Iterable[str]) -> Callable | None:
    """The function of this name, which cosim calls with just these ``arguments``; None where there is none.

    Raises:
        ConfigurationError: it is something else, or takes other arguments.
    """
    found, arguments = getattr(module, name, None), list(arguments)
    if found is None:
        return None
    where = f"{module.__file__}: {name}"
    if not callable(found):
        raise ConfigurationError(f"{where} = {found!r}: must be a function")
    parameters = inspect.signature(found)
    try:
        parameters.bind(**dict.fromkeys(arguments))
    except TypeError as error:
        given = ", ".join(arguments) or "nothing"
        raise ConfigurationError(f"{where}{parameters}: {error}; it is called with {given}") from None
    return found
