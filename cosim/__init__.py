# SPDX-License-Identifier: GPL-2.0-or-later
"""cosim: a spiking brain and a body in closed loop, in one MPI program."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosim.client.session import attach, run, start
    from cosim.errors import CommandError, ConfigurationError, RunError
    from cosim.results.run_data import load
    from cosim.table import Table
    from cosim.transfer import transfer_function, variable

__version__ = "0.2.0"
__all__ = [
    "CommandError",
    "ConfigurationError",
    "RunError",
    "Table",
    "attach",
    "load",
    "run",
    "start",
    "transfer_function",
    "variable",
]

# What users import from here, and where it is. It is imported when it is asked for: the steps of the Makefile
# import cosim before numpy is installed.
_PUBLIC = {
    "CommandError": "cosim.errors",
    "ConfigurationError": "cosim.errors",
    "RunError": "cosim.errors",
    "Table": "cosim.table",
    "attach": "cosim.client.session",
    "run": "cosim.client.session",
    "start": "cosim.client.session",
    "load": "cosim.results.run_data",
    "transfer_function": "cosim.transfer",
    "variable": "cosim.transfer",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'cosim' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
