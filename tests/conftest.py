# SPDX-License-Identifier: GPL-2.0-or-later
"""Shared by all tests: how programs are launched under MPI, and tests under MPI that fail instead of hanging."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAMS = REPOSITORY / "tests" / "programs"
LAUNCHER_PREFIXES = ("PMI", "MPI_LOCAL", "HYDRA", "OMPI_", "MPIR_")

RANK = os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK"))
"""This process's rank under an MPI launcher, else None; known without starting MPI."""


class EndsTheJob:
    """Under MPI, what fails on one rank ends all: the others would wait for it in a collective for ever."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item):
        report = yield
        return self._look(report)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self):
        report = yield
        return self._look(report)

    def _look(self, report):
        if report.failed:
            from mpi4py import MPI

            sys.__stderr__.write(f"\nrank {RANK}: {report.nodeid} failed\n{report.longreprtext}\n")
            sys.__stderr__.flush()
            time.sleep(0.2)  # mpiexec drops what it has not yet passed on
            MPI.COMM_WORLD.Abort(1)
        return report


class NothingRan:
    """A session whose tests were all skipped has shown nothing: it ends as one without tests does."""

    def __init__(self) -> None:
        self._ran = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._ran |= not report.skipped and report.when == "call"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus == pytest.ExitCode.OK and not self._ran and not session.config.option.collectonly:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


class SilentReporter:
    """Takes the terminal reporter's place on ranks other than 0: where a test takes too long it still is told."""

    def __init__(self, config: pytest.Config) -> None:
        self._tw = config.get_terminal_writer()


def pytest_cmdline_main(config: pytest.Config) -> None:
    """Under MPI each rank has temporary files of its own: ranks would delete each other's."""
    if RANK is not None and config.option.basetemp:
        config.option.basetemp += f"-rank-{RANK}"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Under MPI only rank 0 reports, and no rank waits for one that failed."""
    config.pluginmanager.register(NothingRan())
    if RANK is None:
        return
    config.pluginmanager.register(EndsTheJob())
    if RANK != "0":
        silent = SilentReporter(config)
        config.pluginmanager.unregister(name="terminalreporter")
        config.pluginmanager.register(silent, "terminalreporter")


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
