# SPDX-License-Identifier: GPL-2.0-or-later
"""Python files that users write: ``transfer.py`` of an experiment, ``network.py`` of a brain model.

They are loaded and what cosim calls in them is checked here, so that a mistake is told with its file before
NEST starts. Body rank only.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from cosim.errors import ConfigurationError
from cosim.experiment.search import offer_models
from cosim.table import Table


class _Uncached(SourceFileLoader):
    """Compiles a file whenever it is loaded.

    Python takes a file that was written twice within a second, with as many characters, for the same one.
    """

    def get_code(self, fullname: str) -> CodeType:
        """The code of the file as it is now."""
        return self.source_to_code(self.get_data(self.path), self.path)


def load_module(file: Path) -> ModuleType:
    """Run a Python file as a module of its own, fresh at every call.

    Raises:
        ConfigurationError: it is missing, raises, or exits.
    """
    if not file.is_file():
        raise ConfigurationError(f"{file}: no such file")
    offer_models()
    name = f"cosim_models.{file.parent.name}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file, loader=_Uncached(name, str(file)))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and pydantic look up annotations that are text
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(f"{file}: {type(error).__name__}: {error}") from error
    return module


def load_optional_module(file: Path) -> ModuleType:
    """`load_module`, or an empty module where there is no such file."""
    return load_module(file) if file.exists() else ModuleType(file.stem)


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
