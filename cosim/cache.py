# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder that keeps what is built once per machine. Only the standard library is imported here."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Folder of this user's built NEST wheels and nestlink libraries; it need not exist yet.

    ``$COSIM_CACHE`` if it is set, else ``cosim`` below ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """
    chosen = os.environ.get("COSIM_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG rules say to pass over a relative path.
    return (base if base.is_absolute() else Path.home() / ".cache") / "cosim"


def let_numba_write() -> None:
    """Where cosim's own folder must not be written, let numba keep what it compiles with what is built once."""
    if not os.access(Path(__file__).parent, os.W_OK):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder() / "numba"))
