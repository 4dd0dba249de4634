# SPDX-License-Identifier: GPL-2.0-or-later
"""Python files of a user's folder, which may import each other as a script and the modules beside it do.

The files of a folder are modules of a package that has a new name whenever one is loaded. ``import helper`` in one of
them means ``helper.py`` beside it, also while the code runs later, and also if another experiment in this process has
a ``helper.py``, too. Nobody else finds these modules: a ``json.py`` there is not what cosim or an installed package
gets when it imports ``json``.
"""

from __future__ import annotations

import builtins
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, ModuleSpec, SourceFileLoader
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType

PREFIX = "cosim_user_"
_numbers = count(1)


def load(file: Path) -> ModuleType:
    """Run a Python file, fresh at every call, as all that it imports from its folder. Raises what the file raises."""
    package = ModuleType(f"{PREFIX}{next(_numbers)}")
    package.__path__ = [str(file.parent)]
    sys.modules[package.__name__] = package
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)  # before the one that would take what it compiled earlier
    name = f"{package.__name__}.{file.stem}"
    loader = _Loader(name, str(file))
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    assert spec is not None  # as there is a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pydantic look up annotations that are text
    loader.exec_module(module)
    return module


class _Loader(SourceFileLoader):
    """Compiles a file whenever it is loaded, and gives its code an ``import`` that looks beside it first.

    Python takes a file that was written twice within a second, with as many characters, for the same one.
    """

    def get_code(self, fullname: str) -> CodeType:
        """The code of the file as it is now."""
        return self.source_to_code(self.get_data(self.path), self.path)

    def exec_module(self, module: ModuleType) -> None:
        """Run the code."""
        package = module.__name__.partition(".")[0]
        module.__dict__["__builtins__"] = vars(builtins) | {"__import__": partial(_import, package)}
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Finds what belongs to the packages of this module, and nothing else."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module of such a package lies; None for all others."""
        if not (path and name.startswith(PREFIX)):
            return None
        loaders = (ExtensionFileLoader, EXTENSION_SUFFIXES), (_Loader, [".py"])
        return FileFinder(path[0], *loaders).find_spec(name)


_FINDER = _Finder()


def _import(
    package: str,
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] = (),
    level: int = 0,
) -> ModuleType:
    """Python's ``__import__`` for the code of ``package``."""
    first = name.partition(".")[0]
    if level or not _is_beside(package, first):
        return builtins.__import__(name, globals, locals, fromlist, level)
    found = builtins.__import__(f"{package}.{name}", globals, locals, fromlist)
    return found if fromlist else sys.modules[f"{package}.{first}"]


@cache
def _is_beside(package: str, name: str) -> bool:
    """Whether there is such a module in the folder; a folder without ``__init__.py`` is none."""
    found = _FINDER.find_spec(f"{package}.{name}", sys.modules[package].__path__)
    return found is not None and found.loader is not None
