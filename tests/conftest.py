# SPDX-License-Identifier: GPL-2.0-or-later
"""Shared by all tests: how programs are launched under MPI, and tests under MPI that fail instead of hanging."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAMS = REPOSITORY / "tests" / "programs"
LAUNCHER_PREFIXES = ("PMI", "MPI_LOCAL", "HYDRA", "OMPI_", "MPIR_")


def _under_mpi() -> bool:
    return any(name in os.environ for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE"))


def pytest_configure(config: pytest.Config) -> None:
    """One report is enough: ranks other than 0 keep quiet."""
    if _under_mpi() and os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK")) != "0":
        config.pluginmanager.unregister(config.pluginmanager.getplugin("terminalreporter"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """A test that fails on one rank leaves the others in a collective: print why and end the job."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and _under_mpi() and item.get_closest_marker("mpi"):
        from mpi4py import MPI

        sys.__stderr__.write(f"rank {MPI.COMM_WORLD.rank}: {item.nodeid} failed\n{report.longreprtext}\n")
        sys.__stderr__.flush()
        MPI.COMM_WORLD.Abort(1)


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without what an MPI launcher set, so that another launch can start from it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHER_PREFIXES)}
    python_path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(REPOSITORY)]))
    return {**kept, "PYTHONPATH": python_path, **extra}


def find_mpiexec() -> str:
    """The launcher beside this Python, else the one on the PATH."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return shutil.which("mpiexec", path=search)


Launch = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """Start a program on some ranks, the way users do: ``launch(3, "run.py", "mouse_m1", "--steps", 5)``.

    Runs in ``tmp_path`` and returns the completed process with its output as text; one that takes too long fails.
    """

    def start(
        ranks: int, program: str | Path, *arguments: object, timeout_s: float = 240, environment: Mapping = {}
    ) -> subprocess.CompletedProcess:
        command = [find_mpiexec(), "-n", str(ranks), sys.executable, str(REPOSITORY / program), *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=clean_environment(**environment),
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    return start


@pytest.fixture
def alone(tmp_path: Path) -> Launch:
    """Start a program without any launcher: ``alone("tests/programs/gap_junctions.py", tmp_path / "plain.npz")``."""

    def start(program: str | Path, *arguments: object, timeout_s: float = 240) -> subprocess.CompletedProcess:
        command = [sys.executable, str(REPOSITORY / program), *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=timeout_s
        )

    return start
