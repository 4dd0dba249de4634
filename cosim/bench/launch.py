# SPDX-License-Identifier: GPL-2.0-or-later
"""Start a benchmark's processes, alone or under MPI, and take their results."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cosim.parallel.launch import environment, launcher


class WorkerFailed(Exception):
    """The job ended with this exit code; its ranks have said why on standard error."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class ServerError(Exception):
    """NEST Server does not start, or refuses a call."""


def work(task: str, request: dict[str, Any], ranks: int, threads: int = 1) -> Any:
    """Run a task of ``cosim.bench.worker`` on ``ranks`` ranks of ``threads`` cores each; returns its result.

    Raises:
        ConfigurationError: no launcher.
        WorkerFailed: the job did not end well.
    """
    return _ask([*launcher(ranks, threads), sys.executable, "-m", "cosim.bench.worker", task], request, environment())


def alone(module: str, request: dict[str, Any], **variables: str) -> dict[str, Any]:
    """Run a module in a process of its own, with ``variables`` in its environment; returns its result.

    Raises:
        WorkerFailed: it did not end well.
    """
    return _ask([sys.executable, "-m", module], request, environment() | variables)


def _ask(command: list[str], request: dict[str, Any], variables: dict[str, str]) -> Any:
    """The program gets the path of ``request`` as JSON, which names a ``folder`` and a ``result``."""
    with tempfile.TemporaryDirectory(prefix=".work-", dir=request["out"]) as folder:
        asked, result = Path(folder) / "request.json", Path(folder) / "result.json"
        asked.write_text(json.dumps(request | {"folder": folder, "result": str(result)}))
        start([*command, str(asked)], variables)
        return json.loads(result.read_text())


def start(command: list[str], variables: dict[str, str]) -> None:
    """Run a command and wait for it; what it prints goes to standard error.

    Raises:
        WorkerFailed: it did not end well.
    """
    code = subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode
    if code:
        raise WorkerFailed(code)
