# SPDX-License-Identifier: GPL-2.0-or-later
"""The ranks of a benchmark: ``python -m cosim.bench.worker TASK REQUEST``, started by ``cosim.bench.launch``.

A task is a function that is called with the world and the request, a dictionary, on all ranks; what it
returns on the body rank is the result.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from cosim.errors import EXIT_COMPLETE, EXIT_CONFIGURATION, ConfigurationError
from cosim.parallel.mpi import MPI
from cosim.parallel.world import fatal_errors_end_the_job, split

TASKS = {
    "build": "cosim.bench.build_worker",
    "coupling": "cosim.bench.coupling_worker",
    "record": "cosim.bench.record_worker",
    "run": "cosim.bench.scaling_worker",
}
"""Modules that have a function ``measure``, by task."""


def main(task: str, request: str) -> int:
    """Called on all ranks with the same arguments, the second a JSON file; returns the exit code."""
    try:
        with fatal_errors_end_the_job([]):
            world, asked = split(), json.loads(Path(request).read_text())
            result = importlib.import_module(TASKS[task]).measure(world, asked)
            if world.is_body:
                Path(asked["result"]).write_text(json.dumps(result))
            world.synchronise()
    except ConfigurationError as error:
        if MPI.COMM_WORLD.rank == 0:
            print(f"cosim: {error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    return EXIT_COMPLETE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
