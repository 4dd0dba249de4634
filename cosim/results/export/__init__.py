# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim export``: a finished run as NWB, as a file of Neo, or as CSV."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from cosim.errors import ConfigurationError
from cosim.results.run_data import RunData, load_ended


class Format(NamedTuple):
    """A format of export; its module has ``write(run, path)``."""

    module: str
    endings: tuple[str, ...]
    """What the target may end in, the default first; "" is for a folder."""
    needs: dict[str, str] = {}
    """What has to be installed besides, by ending, and in which extra it is; "" is for every ending."""


FORMATS = {
    "nwb": Format("cosim.results.export.nwb", (".nwb",), {"": "pynwb"}),
    "neo": Format("cosim.results.export.neo", (".mat", ".nix"), {"": "neo", ".nix": "nixio"}),
    "csv": Format("cosim.results.export.csv", ("",)),
}
EXTRAS = {"pynwb": "nwb", "neo": "analysis", "nixio": "analysis"}


def main(folder: str, format: str, out: str | None = None) -> int:
    """Write the run in ``folder`` to ``out``, by default ``run.nwb``, ``run.mat`` or ``csv`` in that folder.

    Raises:
        ConfigurationError: the folder holds no finished run, the format is unknown, what it needs is not
            installed, or the target is there already or cannot be written.
    """
    kind = _format(format)
    run = load_ended(folder)
    target = _target(run, kind, out)
    for ending in ("", target.suffix):
        _require(format, kind.needs.get(ending))
    _write(import_module(kind.module).write, run, target)
    print(target)
    return 0


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise ConfigurationError(f"--format {name}: must be one of {', '.join(FORMATS)}")
    return FORMATS[name]


def _require(format: str, package: str | None) -> None:
    if package and find_spec(package) is None:
        raise ConfigurationError(f"--format {format}: needs {package}: pip install 'cosim[{EXTRAS[package]}]'")


def _target(run: RunData, kind: Format, out: str | None) -> Path:
    default = f"run{kind.endings[0]}" if kind.endings[0] else "csv"
    target = Path(out) if out else run.folder.path / default
    if "" not in kind.endings and target.suffix not in kind.endings:
        raise ConfigurationError(f"--out {target}: must end in {' or '.join(kind.endings)}")
    if target.exists():
        raise ConfigurationError(f"--out {target}: already there; must be a new name")
    if not target.absolute().parent.is_dir():
        raise ConfigurationError(f"--out {target}: there is no folder {target.absolute().parent}")
    return target


def _write(write: Callable[[RunData, Path], None], run: RunData, target: Path) -> None:
    """What is not complete has another name, and is removed."""
    unfinished = target.with_name(f"{target.stem}.unfinished{target.suffix}")
    try:
        write(run, unfinished)
        unfinished.rename(target)
    except OSError as error:
        raise ConfigurationError(f"--out {target}: cannot be written: {error.strerror or error}") from None
    finally:
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        unfinished.unlink(missing_ok=True)
