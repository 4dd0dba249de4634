# SPDX-License-Identifier: GPL-2.0-or-later
"""The NEST that is installed, known without importing it. No package but cosim is needed here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import util as importlib_util
from pathlib import Path

from cosim.errors import BrainError

NEST_VERSION = "3.10.0"
"""The only NEST that nestlink works with: it reaches private members of it, and follows some of its functions."""


class NestlinkError(BrainError):
    """nestlink or the NEST that it belongs to is missing, or a call into the kernel failed."""


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
        try:
            lines = (self.headers / "config.h").read_text().splitlines()
        except OSError as error:
            raise NestlinkError(
                f"NEST in {self.folder} came without its C++ headers ({error.filename}: {error.strerror}): "
                f"cosim needs the package of PyPI, `pip install nest-simulator=={NEST_VERSION}`"
            ) from None
        for line in lines:
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
        raise NestlinkError(f"NEST is not installed in this Python: `pip install nest-simulator=={NEST_VERSION}`")
    return NestInstall(Path(next(iter(spec.submodule_search_locations))))
