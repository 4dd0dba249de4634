# SPDX-License-Identifier: GPL-2.0-or-later
"""Where results come from: stored as attributes of ``run.h5``."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import cosim
from cosim.body.engines.registry import ENGINES
from cosim.engines.nest.nestlink import find_nest
from cosim.experiment.config import Experiment
from cosim.parallel.mpi import MPI

# Those that make numbers; some engines are extras.
PACKAGES = ("numpy", "h5py", "mpi4py", *(each.package for each in ENGINES.values()), "pydantic", "numba")

# What the files of a model end in; others, such as pictures, say nothing about what it does.
MODEL_SUFFIXES = (".py", ".toml", ".csv", ".json", ".urdf", ".xml", ".osim", ".sdf")


def attributes(experiment: Experiment, brain_ranks: int) -> dict[str, str | int]:
    """Configuration, experiment, versions, seed, ranks and threads, git revision, machine. Body rank only."""
    config = experiment.config
    versions = {f"version_{name}": importlib.metadata.version(name) for name in PACKAGES if find_spec(name)}
    return {
        "configuration": config.to_toml(),
        "experiment": str(experiment.folder),
        "files": json.dumps(files(experiment)),
        "seed": config.seed,
        "brain_ranks": brain_ranks,
        "threads_per_brain_rank": config.brain.virtual_processes // brain_ranks,
        "virtual_processes": config.brain.virtual_processes,
        "command": " ".join(sys.argv),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": platform.node(),
        "git_revision": git_revision(),
        "version_cosim": cosim.__version__,
        "version_python": platform.python_version(),
        "version_nest": str(find_nest()),
        "version_mpi": MPI.Get_library_version().splitlines()[0],
        **versions,
    }


def files(experiment: Experiment) -> dict[str, dict[str, str]]:
    """SHA-256 by name of the files in the folders of the experiment, its brain and its body.

    Without ``experiment.toml``, which the configuration holds.
    """
    folders = {experiment.brain.path.parent: "brain", experiment.folder: "experiment"}  # the same one for a script
    if experiment.body_file:
        folders.setdefault(experiment.body_file.parent, "body")
    return {part: _hashes(folder) for folder, part in folders.items()}


def _hashes(folder: Path) -> dict[str, str]:
    found = [file for file in sorted(folder.iterdir()) if file.suffix in MODEL_SUFFIXES and file.is_file()]
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in found if file.name != "experiment.toml"
    }


def git_revision() -> str:
    """Revision of the source that runs, with ``-dirty`` if files were changed since; empty outside a git clone."""
    root = Path(cosim.__file__).resolve().parents[1]
    if not (root / ".git").exists():  # installed, maybe below some other clone
        return ""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    except FileNotFoundError:  # no git on this machine
        return ""
    return result.stdout.strip()
