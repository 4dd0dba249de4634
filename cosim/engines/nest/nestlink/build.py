# SPDX-License-Identifier: GPL-2.0-or-later
"""Build nestlink for the NEST that is installed: ``python -m cosim.engines.nest.nestlink.build`` (5 to 15 s).

The PyPI wheel of NEST was compiled with the old string ABI of the GNU C++ library, own builds use the default
one. Nothing in a NEST install says which: the build tries to load its result and takes the first that loads.

``COSIM_NESTLINK_FLAGS`` in the environment adds flags for the compiler, of builds and of the runs that use them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cosim.engines.nest.nestlink import (
    FOLDER,
    LIBRARY_NAME,
    SOURCES,
    NestInstall,
    NestlinkError,
    build_folder,
    check_version,
    extra_flags,
    find_nest,
)

STRING_ABIS = (1, 0)
FLAGS = ("-std=c++20", "-O2", "-fPIC", "-fopenmp", "-Wall", "-Wextra")


def compiler(nest: NestInstall) -> str:
    """The C++ compiler: mpicxx of the MPI that NEST was built with, or any for NEST without MPI.

    Raises:
        NestlinkError: none is there; names what was looked for.
    """
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    names = ["mpicxx", "mpic++"] if nest.has_mpi else [os.environ.get("CXX", "g++"), "c++", "clang++"]
    for name in names:
        if path := shutil.which(name, path=search):
            return path
    raise NestlinkError(f"no C++ compiler found for {nest}: looked for {', '.join(names)} in {search}")


def compile_library(nest: NestInstall, string_abi: int, output: Path, sources: Sequence[Path] = SOURCES) -> str:
    """Compile nestlink against the headers of ``nest``; the kernel's symbols are found when it is loaded.

    Returns the compiler's warnings, of which there should be none.
    """
    objects = [output.parent / f"{source.stem}.o" for source in sources]
    with ThreadPoolExecutor() as pool:
        said = list(pool.map(lambda pair: _compile(nest, string_abi, *pair), zip(sources, objects, strict=True)))
    # Linked without -fopenmp on purpose: OpenMP's functions are those that NEST has loaded, in NEST's wheel
    # from a library of a name of its own. A second one would count threads of its own.
    said.append(_call([compiler(nest), "-shared", *extra_flags(), *map(str, objects), "-o", str(output)]))
    return "".join(said)


def _compile(nest: NestInstall, string_abi: int, source: Path, output: Path) -> str:
    flags = [*FLAGS, f"-D_GLIBCXX_USE_CXX11_ABI={string_abi}", *extra_flags()]
    includes = [f"-I{FOLDER / 'include'}", "-isystem", str(nest.headers)]  # of NEST's own headers no warnings
    return _call([compiler(nest), *flags, *includes, "-c", str(source), "-o", str(output)])


def _call(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise NestlinkError(f"compiling nestlink failed:\n{' '.join(command)}\n{result.stderr}")
    return result.stderr


def load_failure(nest: NestInstall, library: Path) -> str:
    """Why ``library`` cannot be loaded beside ``nest``; empty if it can."""
    program = (
        "import ctypes, os\n"
        + ("import mpi4py.MPI\n" if nest.has_mpi else "")
        + f"import nest\nctypes.CDLL({str(library)!r}, mode=os.RTLD_NOW)"
    )
    environment = dict(os.environ, PYNEST_QUIET="1", PYTHONPATH=str(nest.folder.parent))
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    return (result.stderr.strip().splitlines() or ["unknown error"])[-1] if result.returncode else ""


def build(nest: NestInstall | None = None) -> Path:
    """Build nestlink for ``nest`` (default: the installed one) unless it is there; return its path.

    Raises:
        NestlinkError: another version of NEST, no compiler, the compiler's own messages, or why no result could be
            loaded.
    """
    nest = nest or find_nest()
    check_version(nest)
    folder = build_folder(nest)
    if (folder / LIBRARY_NAME).exists():
        return folder / LIBRARY_NAME
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        _build_in(Path(temporary), nest)
        _publish(Path(temporary), folder)
    return folder / LIBRARY_NAME


def _build_in(folder: Path, nest: NestInstall) -> None:
    failures = []
    for string_abi in STRING_ABIS:
        warnings = compile_library(nest, string_abi, folder / LIBRARY_NAME)
        failure = load_failure(nest, folder / LIBRARY_NAME)
        if not failure:
            print(warnings, end="", file=sys.stderr)
            known = {"nest": str(nest), "string_abi": string_abi, "flags": extra_flags(), "warnings": warnings}
            (folder / "build.json").write_text(json.dumps(known))
            return
        failures.append(f"string ABI {string_abi}: {failure}")
    raise NestlinkError(f"nestlink compiled but does not load beside {nest}:\n" + "\n".join(failures))


def _publish(temporary: Path, folder: Path) -> None:
    """Give a finished build its name in one step, so that nobody ever finds half of one."""
    finished = temporary / "finished"
    finished.mkdir()
    for name in (LIBRARY_NAME, "build.json"):
        (temporary / name).rename(finished / name)
    try:
        finished.rename(folder)
    except OSError:
        if not (folder / LIBRARY_NAME).exists():  # else another process was faster with the same build
            raise


def main() -> int:
    try:
        nest = find_nest()
        print(f"nestlink for {nest}: {build(nest)}")
    except NestlinkError as error:
        print(f"cosim: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
