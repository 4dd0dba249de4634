# SPDX-License-Identifier: GPL-2.0-or-later
"""Advice that depends on where cosim is: in a clone, which has a Makefile, or installed from a wheel."""

from pathlib import Path

MAKEFILE = Path(__file__).resolve().parents[1] / "Makefile"


def in_clone(advice: str, otherwise: str = "") -> str:
    """``advice`` where cosim runs from a clone, else the other one."""
    return advice if MAKEFILE.is_file() else otherwise


def nest_mpi() -> str:
    """The command that builds NEST with MPI."""
    return in_clone("make nest-mpi", otherwise="python -m cosim.tools.setup nest-mpi")
