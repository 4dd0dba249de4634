# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a run: its name, its files, its log."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from cosim.errors import ConfigurationError


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps everything; made on the body rank, known to all."""

    path: Path

    @property
    def run_file(self) -> Path:
        return self.path / "run.h5"

    @property
    def spike_file(self) -> Path:
        return self.path / "spikes.h5"

    @property
    def summary_file(self) -> Path:
        return self.path / "summary.json"

    @property
    def log_file(self) -> Path:
        return self.path / "log.txt"

    def shard(self, rank: int) -> Path:
        """What one rank writes alone; there until it is merged."""
        return self.path / "shards" / f"rank-{rank:05d}.h5"

    def shards(self, ranks: int) -> list[Path]:
        """The shards of all ranks of a world of ``ranks``; the first is the body rank's, without spikes."""
        return [self.shard(rank) for rank in range(ranks)]


def make_folder(experiment: str, out: str | None, results: Path) -> RunFolder:
    """Make a new folder for a run: ``out``, or one below ``results/<experiment>`` named after job id or time.

    Body rank only.

    Raises:
        ConfigurationError: it cannot be made or written, or ``out`` already holds something.
    """
    path = Path(out).resolve() if out else _free_name(results.resolve() / experiment)
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ConfigurationError(
                f"--out {path}: already there and not empty; must be a new or an empty folder"
            )
        (path / "shards").mkdir(parents=True)
    except OSError as error:
        raise ConfigurationError(f"results folder {path}: {error.strerror}; must be a folder that can be written") from None
    return RunFolder(path)


def _free_name(parent: Path) -> Path:
    """Job id or time stamp; with a number behind it if a run of that name is there already."""
    name = os.environ.get("SLURM_JOB_ID") or time.strftime("%Y-%m-%d_%H-%M-%S")
    candidates = [parent / name, *(parent / f"{name}_{number}" for number in range(2, 1000))]
    return next(path for path in candidates if not path.exists())


def start_logging(folder: RunFolder) -> None:
    """Log of the body rank: to ``log.txt`` and to standard error."""
    log = logging.getLogger("cosim")
    log.setLevel(logging.INFO)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    for handler in (logging.FileHandler(folder.log_file), logging.StreamHandler()):
        handler.setFormatter(formatter)
        log.addHandler(handler)
