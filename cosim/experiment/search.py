# SPDX-License-Identifier: GPL-2.0-or-later
"""Where experiments, brains and bodies are found by name: in folders of models, the user's before cosim's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from cosim.errors import nearest
from cosim.experiment.results_folder import results_folder_around

VARIABLE = "COSIM_MODELS"
_PACKAGE = Path(__file__).resolve().parents[1]
# What comes with cosim: within the package where that was installed, beside it in a clone.
SHIPPED = next((folder for folder in (_PACKAGE / "models", _PACKAGE.parent / "models") if folder.is_dir()), _PACKAGE)


def folders() -> list[Path]:
    """The folders of models, first those to look in first: here, ./models, those in $COSIM_MODELS, cosim's own.

    Who stands in a results folder does not look here: nothing in there is executed.
    """
    here = () if results_folder_around(Path()) else (Path(), Path("models"))
    named = [Path(name).expanduser() for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    return list(dict.fromkeys(folder.resolve() for folder in (*here, *named, SHIPPED)))


def find(name: str, file_name: str, base: Path = Path()) -> Path:
    """The folder ``name`` that holds ``file_name``: a path from ``base``, else in the first of `folders` that has one.

    Raises:
        LookupError: there is none; says which there are and where it looked.
    """
    places = [base / name] if Path(name).is_absolute() else [folder / name for folder in (base, *folders())]
    for place in places:
        if is_file(place / file_name):
            return place
    known = {path.parent.name for folder in folders() for path in folder.glob(f"*/{file_name}")}
    looked = ", ".join(dict.fromkeys(str(place.parent.resolve()) for place in places))
    raise LookupError(f"{nearest(name, known)}; looked in {looked}")


def is_file(path: Path) -> bool:
    """Whether such a file is there; there is none of a name that is too long, or in a folder that must not be read."""
    try:
        return path.is_file()
    except OSError:
        return False


def offer_models() -> None:
    """Let ``from models.rodent import tables`` look in the same `folders`, wherever cosim is installed."""
    if _Models not in sys.meta_path:
        sys.meta_path.insert(0, _Models)


class _Models:
    """Finds ``models`` in all `folders` together, unless the user has a module of that name."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "models":
            return None
        found = PathFinder.find_spec(name)
        if found and found.loader:
            return found
        together = ModuleSpec(name, loader=None, is_package=True)
        together.submodule_search_locations = [str(folder) for folder in folders()]
        return together
