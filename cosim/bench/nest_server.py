# SPDX-License-Identifier: GPL-2.0-or-later
"""NEST Server with MPI (``nest-server-mpi``, which comes with NEST) for the time of a benchmark.

It listens on this machine only, at a port that was free, and asks for a token that only we know: its exec
route runs any code that it is sent.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from cosim.bench import launch
from cosim.clone import nest_mpi
from cosim.engines.nest.nestlink import find_nest
from cosim.errors import ConfigurationError
from cosim.parallel.launch import environment, launcher

HOST = "127.0.0.1"
PROGRAM = "nest-server-mpi"
# Modules that the server imports, by the names under which pip knows them.
PACKAGES = {
    "flask": "flask",
    "flask_cors": "flask-cors",
    "RestrictedPython": "RestrictedPython",
    "docopt": "docopt",
}
START_S, STOP_S, CALL_S = 120.0, 10.0, 600.0


def check() -> None:
    """Check that a server can start here.

    Raises:
        ConfigurationError: with what is missing.
    """
    missing = [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ConfigurationError(f"NEST Server needs {', '.join(missing)}: pip install {' '.join(missing)}")
    if not find_nest().has_mpi:
        raise ConfigurationError(f"{PROGRAM} needs NEST with MPI, but this is {find_nest()}: {nest_mpi()}")
    program()


def program() -> Path:
    """The server's script: the one beside this Python, else the first on PATH.

    Raises:
        ConfigurationError: there is none.
    """
    beside = Path(sys.executable).with_name(PROGRAM)
    found = beside if beside.exists() else shutil.which(PROGRAM)
    if found is None:
        raise ConfigurationError(f"no {PROGRAM} beside this Python or on PATH: it comes with NEST")
    return Path(found)


class Server:
    """A server that listens at ``port`` and knows us by ``token``."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token

    def call(self, path: str, arguments: dict[str, Any]) -> Any:
        """POST ``arguments`` to a route in a connection of its own, as the server closes it after every call.

        Raises:
            ServerError: the server refused, or ended; with what it said.
        """
        connection = http.client.HTTPConnection(HOST, self._port, timeout=CALL_S)
        headers = {"Content-Type": "application/json", "NESTServerAuth": self._token}
        try:
            connection.request("POST", path, json.dumps(arguments), headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise launch.ServerError(f"NEST Server, {path} {arguments}: no answer: {error}") from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise launch.ServerError(
                f"NEST Server, {path} {arguments}: status {response.status}, {body.decode()[:500]}"
            )
        return json.loads(body)

    def execute(self, source: str, name: str = "value") -> Any:
        """Run code on all ranks; returns what the variable ``name`` is then on the first one."""
        return self.call("/exec", {"source": source, "return": name})["data"]

    def answers(self) -> bool:
        """Whether it takes connections by now."""
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self._port)) == 0


@contextmanager
def serving(ranks: int, threads: int) -> Iterator[Server]:
    """A server on so many ranks, which ends with the block.

    Raises:
        ServerError: it does not start; with the end of what it printed.
    """
    port, token = _free_port(), secrets.token_hex(24)
    address = ["--host", HOST, "--port", str(port)]
    command = [*launcher(ranks, threads), sys.executable, str(program()), *address]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, env=_environment(token), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            server = Server(port, token)
            _wait(server, process, log)
            yield server
        finally:
            _stop(process)


def _environment(token: str) -> dict[str, str]:
    return environment() | {
        "NEST_SERVER_ACCESS_TOKEN": token,
        "NEST_SERVER_ENABLE_EXEC_CALL": "true",
        "NEST_SERVER_DISABLE_RESTRICTION": "true",
        "NEST_SERVER_MODULES": "import nest; import cosim.bench.nest_server_client as served",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _wait(server: Server, process: subprocess.Popen, log: TextIO) -> None:
    until = time.monotonic() + START_S
    while not server.answers():
        if process.poll() is not None or time.monotonic() > until:
            log.seek(0)
            raise launch.ServerError(f"{PROGRAM} did not start within {START_S:g} s:\n{log.read()[-2000:]}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen) -> None:
    """Its launcher passes SIGTERM on to the ranks."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
