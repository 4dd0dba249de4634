# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim doctor``: what is there, what is not, and what to do about it."""

import importlib.metadata
import json as json_format
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rich.console import Console
from rich.text import Text

from cosim.body.engines.registry import ENGINES
from cosim.clone import in_clone, nest_mpi
from cosim.engines.nest.install import NEST_VERSION, find_nest
from cosim.errors import BrainError
from cosim.tools.setup import mpi

OR_SETUP = in_clone("make setup, or ")
PYTHON_3_11 = "needs 3.11" + in_clone(": make clean, then make setup PYTHON=/path/to/python3.11")
# What says that a thing is not there.
ABSENT = (RuntimeError, ImportError, BrainError)


@dataclass(frozen=True)
class Check:
    """One thing to look for."""

    name: str
    look: Callable[[], tuple[str, str]]
    """Returns what is there and a remark on it; raises one of ABSENT if it is not there."""
    cure: str
    """What to do when it is not there."""
    needed: bool = True
    """Whether the embedded default, `make demo`, needs it."""


def look_at_python() -> tuple[str, str]:
    found = f"{platform.python_version()} in {sys.executable}"
    if sys.version_info[:2] != (3, 11):
        raise RuntimeError(found)
    return found, ""


def look_at_mpi() -> tuple[str, str]:
    return f"{mpi.library_version()}, mpi4py {importlib.metadata.version('mpi4py')}", ""


def look_at_launcher() -> tuple[str, str]:
    path = mpi.find_mpiexec()
    if path is None:
        raise RuntimeError("no mpiexec beside this Python or on PATH")
    sizes = mpi.lines_of_two_ranks(mpi.HELLO)
    if sizes != ["2", "2"]:
        raise RuntimeError(f"{path} -n 2 gives worlds of size {', '.join(sizes)}, not one of size 2")
    return f"{mpi.launcher_version()}, {path}; -n 2 gives one world of size 2", ""


def look_at_nest() -> tuple[str, str]:
    nest = find_nest()
    found = str(nest).removeprefix("NEST ")
    return found, "" if nest.has_mpi else f"serves one brain rank; for more: {nest_mpi()}"


def look_at_nestlink() -> tuple[str, str]:
    # Late, as this package needs numpy, which may be what is missing.
    from cosim.engines.nest import nestlink

    return str(nestlink.find()), ""


def look_at_engine(package: str) -> tuple[str, str]:
    version = importlib.metadata.version(package)
    # In a process of its own, as PyBullet prints its build time where --json allows nothing but JSON.
    mpi.output([sys.executable, "-c", f"import {package}"])
    return version, ""


def look_at_hdf5() -> tuple[str, str]:
    import h5py

    return f"{h5py.version.hdf5_version}, h5py {h5py.__version__}", ""


def look_at_ffmpeg() -> tuple[str, str]:
    return f"imageio-ffmpeg {importlib.metadata.version('imageio-ffmpeg')}", ""


def look_at_cores() -> tuple[str, str]:
    cores = len(os.sched_getaffinity(0))
    return str(cores), "" if cores > 1 else "brain and body take turns on one core"


def look_at_memory() -> tuple[str, str]:
    total_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{total_gb:.1f} GiB", ""


def look_at_slurm() -> tuple[str, str]:
    if shutil.which("sinfo") is None:
        raise RuntimeError("no sinfo on PATH")
    advice = in_clone("sbatch slurm/run.sbatch mouse_m1", otherwise="cosim run starts srun in an allocation")
    return mpi.output(["sinfo", "--version"]), advice


def engine_check(name: str) -> Check:
    """The check of a physics engine; the extras are not needed."""
    engine = ENGINES[name]
    why = f'for body.engine = "{name}": ' if engine.extra else OR_SETUP
    return Check(engine.title, partial(look_at_engine, engine.package), why + engine.cure, needed=not engine.extra)


CHECKS = (
    Check("Python", look_at_python, PYTHON_3_11),
    Check("MPI library", look_at_mpi, OR_SETUP + "pip install mpi4py mpich"),
    Check("launcher", look_at_launcher, "use the mpiexec of the MPI library; pip install mpich brings both"),
    Check("NEST", look_at_nest, OR_SETUP + f"pip install nest-simulator=={NEST_VERSION}"),
    Check("nestlink", look_at_nestlink, "python -m cosim.engines.nest.nestlink.build"),
    *(engine_check(name) for name, engine in ENGINES.items() if not engine.extra),
    Check("HDF5", look_at_hdf5, OR_SETUP + "pip install h5py"),
    *(engine_check(name) for name, engine in ENGINES.items() if engine.extra),
    Check("ffmpeg", look_at_ffmpeg, "for films as MP4 instead of GIF: pip install 'cosim[video]'", needed=False),
    Check("cores", look_at_cores, "", needed=False),
    Check("memory", look_at_memory, "", needed=False),
    Check(
        "Slurm",
        look_at_slurm,
        "for batch jobs only" + in_clone("; to try it here: slurm/local/cluster.sh start"),
        needed=False,
    ),
)


def examine(check: Check) -> dict:
    """Result of one check, as it stands in the report."""
    try:
        there = True
        found, advice = check.look()
    except ABSENT as problem:
        there = False
        # Of a long message the last line is the one that tells.
        found, advice = str(problem).splitlines()[-1], check.cure
    return {"name": check.name, "there": there, "needed": check.needed, "found": found, "advice": advice}


def report() -> dict:
    """All checks, and under "works" whether all that the embedded default needs is there."""
    checks = [examine(check) for check in CHECKS]
    return {"works": all(check["there"] for check in checks if check["needed"]), "checks": checks}


def show(findings: dict, console: Console) -> None:
    """The report for people: a line for each check, and below it the advice."""
    for check in findings["checks"]:
        absent = ("no", "red") if check["needed"] else ("-", "dim")
        mark, colour = ("yes", "green") if check["there"] else absent
        line = Text.assemble((f"{mark:5}", colour), f"{check['name']:14}", check["found"])
        if check["advice"]:
            line.append(f"\n{'':19}-> {check['advice']}", "bold" if colour == "red" else "dim")
        console.print(line, soft_wrap=True)


def main(json: bool = False) -> int:
    """Print the report, as one JSON object or as a table; 0 if the embedded default works, else 1."""
    findings = report()
    if json:
        print(json_format.dumps(findings, indent=2))
    else:
        show(findings, Console())
    return 0 if findings["works"] else 1
