# SPDX-License-Identifier: GPL-2.0-or-later
"""NEST with MPI, built once per machine from the sources on PyPI; and NEST's wheel, which has no MPI."""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cosim.cache import cache_folder
from cosim.engines.nest.install import NestlinkError, find_nest
from cosim.tools.setup import mpi, packages

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
# Seconds between two lines of progress, CPU-minutes of the whole build, memory that one compiler needs.
REPORT_S = 30
CPU_MINUTES = 40
COMPILER_GB = 1.0
# Ninja writes "[12/345]", make writes "[ 12%]".
PROGRESS = re.compile(r"\[(\d+/\d+|\s*\d+%)\]")
TWO_RANKS = "from mpi4py import MPI; import nest; print('NEST counts', nest.num_processes)"


class BuildFailed(RuntimeError):
    """NEST could not be built, or the build does not work under the launcher."""


def requirement() -> str:
    """The NEST that pyproject.toml asks for, such as "nest-simulator==3.10.0"."""
    return next(name for name in importlib.metadata.requires("cosim") or () if name.startswith("nest-simulator"))


def is_mpi_build() -> bool:
    """Whether the installed NEST was compiled with MPI; False where there is none, or none that runs can use."""
    try:
        return find_nest().has_mpi
    except NestlinkError:
        return False


def install_mpi_build() -> None:
    """Replace the installed NEST by the build with MPI, from the cache or built now, and see that it works."""
    if not is_mpi_build():
        packages.ensure(packages.FOR_NEST_MPI)
        wheel = cached_wheel() or build()
        print(f"installing NEST with MPI from {wheel}", flush=True)
        subprocess.run([*PIP, "install", "-q", "--no-deps", "--force-reinstall", str(wheel)], check=True)
    check()


def install_wheel(folder: Path) -> None:
    """Unpack NEST's wheel into ``folder``: first on PYTHONPATH it wins over the NEST that is installed."""
    subprocess.run(
        [
            *PIP,
            "install",
            "-q",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--upgrade",
            "--target",
            str(folder),
            requirement(),
        ],
        check=True,
    )


def wheel_folder() -> Path:
    """Where the wheel is kept: one folder for all that a compiled NEST depends on."""
    system = platform.freedesktop_os_release()
    return (
        cache_folder()
        / "wheels"
        / "-".join(
            [
                f"cp{sys.version_info.major}{sys.version_info.minor}",
                platform.machine(),
                system["ID"] + system.get("VERSION_ID", ""),
                mpi.library_name(mpi.library_version()),
            ]
        )
    )


def cached_wheel() -> Path | None:
    """The wheel of an earlier build, if there is one."""
    name = requirement().replace("==", "-").replace("nest-simulator", "nest_simulator")
    return next(wheel_folder().glob(f"{name}-*.whl"), None)


def build() -> Path:
    """Build the wheel and move it into the cache when it is whole; its path."""
    folder = wheel_folder()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "build.log"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        compile_wheel(Path(scratch), log)
        wheel = next(Path(scratch).glob("*.whl"))
        return wheel.replace(folder / wheel.name)


def compile_wheel(folder: Path, log: Path) -> None:
    """Let pip build the wheel into ``folder``; all that the compilers say goes to ``log``."""
    jobs = parallel_jobs()
    print(
        f"building NEST with MPI from source, once per machine: about {CPU_MINUTES / jobs:.0f} minutes "
        f"(compilers at a time: {jobs}); log in {log}",
        flush=True,
    )
    # pip's cache does not tell wheels by their settings: without --no-cache-dir one without MPI may come out.
    command = [
        *PIP,
        "wheel",
        "-v",
        "--no-deps",
        "--no-cache-dir",
        "--no-binary",
        "nest-simulator",
        "--config-settings=cmake.define.with-mpi=ON",
        "--wheel-dir",
        str(folder),
        requirement(),
    ]
    with log.open("w") as sink:
        process = subprocess.Popen(
            command, env=build_environment(jobs), stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT
        )
        watch(process, log)
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
        raise BuildFailed(f"{tail}\nthe build of NEST ended with exit code {process.returncode}; log: {log}")


def build_environment(jobs: int) -> dict[str, str]:
    """This environment with the mpicxx that belongs to this Python first on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs)}


def parallel_jobs() -> int:
    """Compilers at a time: ``$CMAKE_BUILD_PARALLEL_LEVEL``, else as many as cores and memory allow."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    allowed = min(len(os.sched_getaffinity(0)), int(memory_gb / COMPILER_GB))
    return int(os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", max(1, allowed)))


def watch(process: subprocess.Popen, log: Path) -> None:
    """Print a line of progress now and then until ``process`` ends."""
    start = time.monotonic()
    while True:
        try:
            process.wait(timeout=REPORT_S)
            return
        except subprocess.TimeoutExpired:
            minutes = (time.monotonic() - start) / 60
            print(f"  {minutes:4.1f} min  {progress(log.read_text(errors='replace'))}", flush=True)


def progress(text: str) -> str:
    """How far the build is, from its log so far."""
    steps = PROGRESS.findall(text)
    return f"compiled {steps[-1].strip()}" if steps else "downloading and configuring"


def check() -> None:
    """Raise ``BuildFailed`` unless two ranks under the launcher are two processes for NEST."""
    lines = mpi.lines_of_two_ranks(TWO_RANKS)
    if lines.count("NEST counts 2") != 2:
        raise BuildFailed(f"NEST with MPI does not count 2 processes under {mpi.find_mpiexec()} -n 2: {lines}")
    print(f"NEST with MPI counts 2 processes under {mpi.find_mpiexec()} -n 2")
