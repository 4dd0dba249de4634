# SPDX-License-Identifier: GPL-2.0-or-later
"""nestlink: our C++ library inside the NEST kernel, called through ctypes.

It hands NEST 3.10 a communicator (PyNEST's own ``set_communicator`` does nothing in 3.10), makes synapses
(``connect``), does the steps of the coupling loop (``stepping``) and changes what stands between them (``changing``).
See ``nestlink.cpp`` for the why of each, and ``originals`` for what of NEST it depends on. ``Nestlink`` is used on
brain ranks, after ``import nest``; what comes before it in this file needs no NEST.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shlex
from pathlib import Path

from cosim.cache import cache_folder
from cosim.engines.nest.install import NEST_VERSION, NestInstall, NestlinkError, find_nest
from cosim.engines.nest.nestlink.changing import CHANGING_SIGNATURES, Changing
from cosim.engines.nest.nestlink.connect import Connect
from cosim.engines.nest.nestlink.library import Signatures
from cosim.engines.nest.nestlink.spikes import SPIKES_SIGNATURES
from cosim.engines.nest.nestlink.stepping import STEPPING_SIGNATURES, Stepping

FOLDER = Path(__file__).parent
SOURCES = tuple(sorted(FOLDER.glob("*.cpp")))
HEADERS = tuple(sorted(FOLDER.glob("include/*.h")))
LIBRARY_NAME = "nestlink.so"
FLAGS_VARIABLE = "COSIM_NESTLINK_FLAGS"
"""Flags for the compiler in the environment, such as a sanitizer's; builds with other flags lie apart."""


def check_version(nest: NestInstall) -> None:
    """Raise NestlinkError for another NEST than the one that nestlink is written for, which it would break."""
    if nest.version != NEST_VERSION:
        raise NestlinkError(
            f"this is {nest}, but nestlink is written for NEST {NEST_VERSION}, reaches into its private parts and "
            f"works with no other: `pip install nest-simulator=={NEST_VERSION}`"
        )


def extra_flags() -> list[str]:
    """Flags for the compiler from the environment variable COSIM_NESTLINK_FLAGS."""
    return shlex.split(os.environ.get(FLAGS_VARIABLE, ""))


def build_folder(nest: NestInstall) -> Path:
    """Where the build for exactly this NEST, these sources and these flags lies, whether or not it exists."""
    digest = hashlib.sha256(nest.kernel.read_bytes())
    for source in (*SOURCES, *HEADERS, FOLDER / "build.py"):
        digest.update(source.read_bytes())
    digest.update(shlex.join(extra_flags()).encode())
    return cache_folder() / "nestlink" / digest.hexdigest()[:16]


def find(nest: NestInstall | None = None) -> Path:
    """Path of the library that was built for the installed NEST.

    Raises:
        NestlinkError: NEST has another version, or there is no build; names the builds for other NESTs that are there.
    """
    nest = nest or find_nest()
    check_version(nest)
    library = build_folder(nest) / LIBRARY_NAME
    if library.exists():
        return library
    others = {json.loads(path.read_text())["nest"] for path in cache_folder().glob("nestlink/*/build.json")}
    others.discard(str(nest))  # from other sources, or with other flags
    state = f"was built only against another NEST ({'; '.join(sorted(others))})" if others else "is not built"
    raise NestlinkError(f"nestlink {state}, not for {nest}: run `python -m cosim.engines.nest.nestlink.build`")


def _signatures() -> Signatures:
    return {
        "nestlink_set_communicator": (ctypes.c_int, [ctypes.c_int]),
        "nestlink_check_threads": (ctypes.c_int, []),
        **STEPPING_SIGNATURES,
        **SPIKES_SIGNATURES,
        **CHANGING_SIGNATURES,
    }


class Nestlink(Connect, Stepping, Changing):
    """The loaded library. One per process, after ``import nest``."""

    signatures = _signatures()

    def set_communicator(self, fortran_handle: int) -> None:
        """Hand NEST a communicator (``comm.py2f()``); ``nest.ResetKernel()`` comes next. Collective."""
        self._check(self.lib.nestlink_set_communicator(fortran_handle), "NEST did not take the communicator")

    def check_threads(self) -> None:
        """Check that nestlink and NEST count the same threads; needed when NEST's number of threads is set.

        Raises:
            NestlinkError: one of them was compiled without OpenMP, or loaded with an OpenMP library of its own.
        """
        self._check(self.lib.nestlink_check_threads(), "nestlink cannot work with NEST's threads")
