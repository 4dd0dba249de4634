# SPDX-License-Identifier: GPL-2.0-or-later
"""Shared by all tests: how programs are launched under MPI; tests under MPI fail instead of hanging."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING

import pytest

from cosim.parallel.launch import LAUNCHER_PREFIXES, find_mpiexec

if TYPE_CHECKING:
    from cosim.body.engines.engine import Engine
    from cosim.body.musculoskeletal.description import MusculoskeletalDescription

REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAMS = REPOSITORY / "tests" / "programs"
# Threads that wait give way: spinning, those of several ranks would keep each other off few cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Drawing takes half of the time of a short run: tests that look at figures ask for them, see `with_figures`.
os.environ["COSIM_FIGURES"] = "no"

RANK = os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK"))
"""This process's rank under an MPI launcher, else None; known without starting MPI."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests that start processes; what takes a quarter of an hour is run by who asks for it."""
    for item in items:
        if any(map(_starts_processes, _parts(item))):
            item.add_marker("starts")
    if "nest_examples" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("nest_examples")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _parts(item: pytest.Item) -> Iterator[Callable]:
    """The function of a test and those of all of its fixtures."""
    yield item.function
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        yield from (each.func for each in definitions)


@cache
def _starts_processes(function: Callable) -> bool:
    """Whether a function, or one of its own file that it calls, names ``subprocess``."""
    seen, waiting = set(), [function]
    while waiting:
        each = waiting.pop()
        if not inspect.isfunction(each) or each in seen or each.__module__ != function.__module__:
            continue
        seen.add(each)
        names = _names(each.__code__)
        if "subprocess" in names:
            return True
        waiting += [each.__globals__.get(name) for name in names]
    return False


def _names(code: CodeType) -> set[str]:
    """What a function uses, the functions in it included."""
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return {*code.co_names}.union(*map(_names, inner))


class SilentReporter:
    """Takes the terminal reporter's place on ranks other than 0: only a test that takes too long is told."""

    def __init__(self, config: pytest.Config) -> None:
        self._tw = config.get_terminal_writer()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Under MPI only rank 0 reports."""
    if RANK not in (None, "0"):
        silent = SilentReporter(config)
        config.pluginmanager.unregister(name="terminalreporter")
        config.pluginmanager.register(silent, "terminalreporter")


def pytest_exception_interact(report: pytest.CollectReport | pytest.TestReport) -> None:
    """Under MPI, what fails on one rank ends all: the others would wait for it in a collective for ever."""
    if RANK is not None:
        from mpi4py import MPI

        sys.stderr.write(f"\nrank {RANK}: {report.nodeid} failed\n{report.longreprtext}\n")
        sys.stderr.flush()
        time.sleep(0.2)  # mpiexec drops what it has not yet passed on
        MPI.COMM_WORLD.Abort(1)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report success only after all ranks had it, and only if a test ran: skipped tests show nothing."""
    if session.exitstatus != pytest.ExitCode.OK or session.config.option.collectonly:
        return
    if RANK is not None:
        from mpi4py import MPI

        MPI.COMM_WORLD.Barrier()
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if RANK in (None, "0") and "passed" not in reporter.stats:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without what an MPI launcher set, so that another launch can start from it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHER_PREFIXES)}
    python_path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(REPOSITORY)]))
    return {**kept, "PYTHONPATH": python_path, **extra}


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


@pytest.fixture(scope="module")
def with_figures() -> Iterator[None]:
    """Runs of a module that uses this draw, as those of users do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COSIM_FIGURES")
        yield


@pytest.fixture(params=["pybullet", "mujoco"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Each physics engine in turn."""
    if request.param == "mujoco":  # an optional extra
        pytest.importorskip("mujoco")
    return request.param


@pytest.fixture
def start_engine() -> Iterator[Callable]:
    """Start engines as `cosim.body.engines.registry.start` does and close them after the test."""
    from cosim.body.engines import registry

    with contextlib.ExitStack() as at_the_end:

        def start(name: str, description: MusculoskeletalDescription) -> Engine:
            started = registry.start(name, description)
            at_the_end.callback(started.close)
            return started

        yield start


@pytest.fixture
def recover() -> Iterator[Callable[..., int]]:
    """``cosim recover`` in this process."""
    from cosim import cli

    log = logging.getLogger("cosim")
    before = log.handlers[:]
    yield lambda *arguments: cli.main(["recover", *map(str, arguments)])
    log.handlers[:] = before
