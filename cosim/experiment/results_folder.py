# SPDX-License-Identifier: GPL-2.0-or-later
"""How a results folder is known: nothing in it is executed, and no models are looked for there."""

from __future__ import annotations

import os
from pathlib import Path

RUN_FILE = "run.h5"


def results_folder_around(path: Path) -> Path | None:
    """The results folder, one with a ``run.h5``, that ``path`` is or lies in, as it is spelt or as links lead.

    None if there is none.
    """
    for start in (Path(os.path.abspath(path)), Path(os.path.realpath(path))):
        for folder in (start, *start.parents):
            if os.path.lexists(folder / RUN_FILE):
                return folder
    return None
