# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim new``: a small experiment to begin with; what it holds lies in ``template/``."""

from __future__ import annotations

import shlex
from pathlib import Path

from cosim.errors import ConfigurationError

TEMPLATE = Path(__file__).with_name("template")


def main(folder: str) -> int:
    """Write the experiment into a new ``folder`` and say what to do with it.

    Raises:
        ConfigurationError: the folder is there already, or cannot be made.
    """
    files = sorted(file for file in TEMPLATE.iterdir() if file.is_file())
    try:
        Path(folder).mkdir(parents=True)
        for file in files:  # not copied with its mode: where cosim is installed it may be read-only
            (Path(folder) / file.name).write_bytes(file.read_bytes())
    except FileExistsError:
        raise ConfigurationError(f"{folder}: is there already; must be the name of a new folder") from None
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror}; must be a folder that can be made") from None
    print(_advice(folder, [file.name for file in files]))
    return 0


def _advice(folder: str, files: list[str]) -> str:
    word = shlex.quote(folder)
    return (
        f"{folder} holds {', '.join(files)}: a robot that follows a lamp. Now type\n"
        f"    cosim run {word}\n"
        f"and look at figure.png and body.png in the folder that it names. Then change a number in "
        f"{folder}/transfer.py."
    )
