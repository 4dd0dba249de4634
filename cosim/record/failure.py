# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a rank ended the job, in a file of its own for whoever looks at what the run left.

The file has its space from the start, so that it can be written when the disk is full.
"""

from __future__ import annotations

import os
from pathlib import Path

from cosim.record.disk import writing
from cosim.record.folder import RunFolder

RESERVED_BYTES = 4096


def reserve(path: Path) -> None:
    """Take the space; nothing has failed yet."""
    with writing(path):
        path.write_bytes(b" " * RESERVED_BYTES)


def tell(path: Path, text: str) -> None:
    """Say what failed, as far as there is space for it."""
    descriptor = os.open(path, os.O_WRONLY)
    os.pwrite(descriptor, text.encode()[:RESERVED_BYTES], 0)
    os.close(descriptor)


def first_told(folder: RunFolder) -> str:
    """Why a run ended, as the first rank that could tells it; empty if none could."""
    return next(filter(None, map(told, folder.failure_files())), "")


def told(path: Path) -> str:
    """What failed on this rank; empty if nothing did."""
    return path.read_text(errors="replace").strip()
