# SPDX-License-Identifier: GPL-2.0-or-later
"""nestlink: our C++ library inside the NEST kernel, called through ctypes.

It hands NEST 3.10 a communicator (PyNEST's own ``set_communicator`` does nothing in 3.10) and adds the recording
backend ``"cosim"`` whose buffers are read without a copy and emptied between ``Run`` calls. See ``nestlink.cpp`` for
the why of each; ``connect`` makes synapses with it, ``stepping`` is what the coupling loop uses. Everything here is
called on brain ranks, after ``import nest``.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
from dataclasses import dataclass
from importlib import util as importlib_util
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cosim.engines.nest.nestlink.connect import Connect
from cosim.engines.nest.nestlink.library import NestlinkError, Signatures, view
from cosim.engines.nest.nestlink.stepping import STEPPING_SIGNATURES, Stepping
from cosim.tools.setup.cache import cache_folder

FOLDER = Path(__file__).parent
SOURCES = tuple(sorted(FOLDER.glob("*.cpp")))
HEADERS = tuple(sorted(FOLDER.glob("include/*.h")))
LIBRARY_NAME = "nestlink.so"
BACKEND = "cosim"


@dataclass(frozen=True)
class NestInstall:
    """The NEST that ``import nest`` would load, known without importing it."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "nestkernel_api.so"

    @property
    def headers(self) -> Path:
        return self.folder / "include" / "nest"

    def _defines(self, name: str) -> str | None:
        for line in (self.headers / "config.h").read_text().splitlines():
            if line.startswith(f"#define {name} "):
                return line.split(maxsplit=2)[2].strip('"')
        return None

    @property
    def version(self) -> str:
        return self._defines("NEST_VERSION") or "unknown"

    @property
    def has_mpi(self) -> bool:
        return self._defines("HAVE_MPI") is not None

    def __str__(self) -> str:
        return f"NEST {self.version} {'with' if self.has_mpi else 'without'} MPI in {self.folder}"


def find_nest() -> NestInstall:
    """Find NEST on Python's path without importing it."""
    spec = importlib_util.find_spec("nest")
    if spec is None or not spec.submodule_search_locations:
        raise NestlinkError("NEST is not installed in this Python: `pip install nest-simulator==3.10.0`")
    return NestInstall(Path(next(iter(spec.submodule_search_locations))))


def build_folder(nest: NestInstall) -> Path:
    """Where the build for exactly this NEST and these sources lies, whether or not it exists."""
    digest = hashlib.sha256(nest.kernel.read_bytes())
    for source in (*SOURCES, *HEADERS, FOLDER / "build.py"):
        digest.update(source.read_bytes())
    return cache_folder() / "nestlink" / digest.hexdigest()[:16]


def find(nest: NestInstall | None = None) -> Path:
    """Path of the library that was built for the installed NEST.

    Raises:
        NestlinkError: there is none; names the builds for other NESTs that are there.
    """
    nest = nest or find_nest()
    library = build_folder(nest) / LIBRARY_NAME
    if library.exists():
        return library
    others = {json.loads(path.read_text())["nest"] for path in cache_folder().glob("nestlink/*/build.json")}
    state = f"was built only against another NEST ({'; '.join(sorted(others))})" if others else "is not built"
    raise NestlinkError(f"nestlink {state}, not for {nest}: run `python -m cosim.engines.nest.nestlink.build`")


class Events(NamedTuple):
    """Events of one recorder on one thread: views that are valid until the next ``Run`` or ``clear``."""

    senders: np.ndarray
    """(n,) int64, node ids."""
    times_ms: np.ndarray
    """(n,) float64."""
    values: np.ndarray
    """(n, k) float64, the k recorded quantities of a multimeter; k = 0 for spikes."""


def _signatures() -> Signatures:
    pointer = ctypes.POINTER(ctypes.c_void_p)
    size = ctypes.c_size_t
    return {
        "nestlink_set_communicator": (ctypes.c_int, [ctypes.c_int]),
        "nestlink_register_backend": (ctypes.c_int, []),
        "nestlink_num_threads": (ctypes.c_int, []),
        "nestlink_events": (ctypes.c_long, [size, size, pointer, pointer, pointer]),
        "nestlink_num_values": (ctypes.c_long, [size]),
        "nestlink_value_name": (ctypes.c_char_p, [size, size]),
        "nestlink_clear": (None, [size]),
        **STEPPING_SIGNATURES,
    }


class Nestlink(Connect, Stepping):
    """The loaded library. One per process, after ``import nest``."""

    signatures = _signatures()

    def set_communicator(self, fortran_handle: int) -> None:
        """Hand NEST a communicator (``comm.py2f()``); ``nest.ResetKernel()`` comes next. Collective."""
        self._check(self.lib.nestlink_set_communicator(fortran_handle), "NEST did not take the communicator")

    def register_backend(self) -> None:
        """Register the recording backend ``"cosim"``; needed again after each ``nest.ResetKernel()``."""
        self._check(self.lib.nestlink_register_backend(), "NEST did not take the recording backend")

    def value_names(self, recorder: int) -> list[str]:
        """Names of the quantities that a multimeter writes, in the order of the columns of its values."""
        count = self.lib.nestlink_num_values(recorder)
        return [self.lib.nestlink_value_name(recorder, index).decode() for index in range(count)]

    def events(self, recorder: int) -> list[Events]:
        """Events of a recorder (a node id) on this rank since the last ``clear``, one entry a thread."""
        width = self.lib.nestlink_num_values(recorder)
        threads = range(self.lib.nestlink_num_threads())
        return [self._thread_events(recorder, thread, width) for thread in threads]

    def _thread_events(self, recorder: int, thread: int, width: int) -> Events:
        senders, times, values = (ctypes.c_void_p() for _ in range(3))
        count = self.lib.nestlink_events(
            recorder, thread, ctypes.byref(senders), ctypes.byref(times), ctypes.byref(values)
        )
        return Events(
            view(senders, count, ctypes.c_int64),
            view(times, count, ctypes.c_double),
            view(values, count * width, ctypes.c_double).reshape(count, width),
        )

    def clear(self, recorder: int) -> None:
        """Forget the events of a recorder on this rank."""
        self.lib.nestlink_clear(recorder)
