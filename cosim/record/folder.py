# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a run: its name, its files, its log."""

from __future__ import annotations

import logging
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from cosim.errors import ConfigurationError
from cosim.experiment.results_folder import RUN_FILE


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps everything; made on the body rank, known to all."""

    path: Path
    is_ours: bool = False
    """Whether cosim made the folder itself; else the user had made it, and it stays."""

    @property
    def run_file(self) -> Path:
        return self.path / RUN_FILE

    @property
    def spike_file(self) -> Path:
        return self.path / "spikes.h5"

    @property
    def weights_file(self) -> Path:
        """All weights of projections, where a sink asks for them; see `cosim.record.weights`."""
        return self.path / "weights.h5"

    @property
    def summary_file(self) -> Path:
        return self.path / "summary.json"

    @property
    def config_file(self) -> Path:
        """The effective configuration; as an experiment.toml it gives the same run."""
        return self.path / "config.toml"

    @property
    def populations_file(self) -> Path:
        """The populations of the brain as they were built, see `cosim.record.populations`."""
        return self.path / "populations.json"

    @property
    def body_file(self) -> Path:
        """The body, with all that its file included."""
        return self.path / "body.toml"

    @property
    def transfer_file(self) -> Path:
        """The text of transfer.py as it was last; there only if commands, or failures, changed its functions."""
        return self.path / "transfer.py"

    @property
    def log_file(self) -> Path:
        return self.path / "log.txt"

    @property
    def shard_folder(self) -> Path:
        return self.path / "shards"

    def shard(self, rank: int) -> Path:
        """What one rank writes alone; there until it is merged."""
        return self.shard_folder / f"rank-{rank:05d}.h5"

    def returned_file(self, function: str) -> Path:
        """What a transfer function has returned, see `cosim.record.returned`; there until it is merged."""
        return self.shard_folder / f"transfer-{function}.h5"

    def returned_files(self) -> list[Path]:
        """Those of all functions that have returned something."""
        return sorted(self.shard_folder.glob("transfer-*.h5"))

    @property
    def owner_file(self) -> Path:
        """Which process writes here, see `cosim.record.owner`; gone when the run has ended well."""
        return self.shard_folder / "owner.json"

    @property
    def built_file(self) -> Path:
        """What stood before the first step, see `cosim.record.built`."""
        return self.shard_folder / "built.json"

    @property
    def command_log(self) -> Path:
        """What was done to the run, see `cosim.record.commands`."""
        return self.shard_folder / "commands.jsonl"

    @property
    def failed_file(self) -> Path:
        """Transfer functions that failed, see `cosim.record.failed`; there only if one did."""
        return self.shard_folder / "failed.jsonl"

    @property
    def drive_file(self) -> Path:
        """What a loop in another process wrote, see `cosim.record.drive`; there only if one did."""
        return self.shard_folder / "drive.h5"

    @property
    def control_folder(self) -> Path:
        """Where commands for the run are put, and answers; only its user may look into it."""
        return self.path / "control"

    @property
    def state_file(self) -> Path:
        """Whether the run goes on or is paused, see `cosim.control.state`."""
        return self.control_folder / "state.json"

    def failure_file(self, rank: int) -> Path:
        """Why a rank ended the run."""
        return self.shard_folder / f"rank-{rank:05d}.failure"

    def failure_files(self) -> list[Path]:
        """Those of all ranks, by rank."""
        return sorted(self.shard_folder.glob("*.failure"))

    def shards(self, ranks: int) -> list[Path]:
        """The shards of all ranks of a world of ``ranks``; the first is the body rank's, without spikes."""
        return [self.shard(rank) for rank in range(ranks)]

    def remove_shards(self) -> None:
        """When results are there. All of them are gone at once: a run without shards has ended well."""
        merged = self.path / "shards.merged"
        self.shard_folder.rename(merged)
        shutil.rmtree(merged)

    def remove(self) -> None:
        """Take away what cosim wrote of a run that was refused, with its log, and the folder if it `is_ours`."""
        log = logging.getLogger("cosim")
        for handler in [each for each in log.handlers if isinstance(each, LogFile)]:
            log.removeHandler(handler)
            handler.close()
        # On a network file system a file that this process has open keeps a name until the process ends.
        shutil.rmtree(self.shard_folder, ignore_errors=True)
        shutil.rmtree(self.control_folder, ignore_errors=True)
        for file in (self.config_file, self.body_file, self.run_file, self.log_file):
            file.unlink(missing_ok=True)
        if self.is_ours:
            with suppress(OSError):  # somebody else has put something into it
                self.path.rmdir()


def make_folder(experiment: str, out: str | None, results: Path) -> RunFolder:
    """Make a new folder for a run: ``out``, or one below ``results/<experiment>`` named after job id or time.

    Body rank only. An ``out`` that is there already must not hold any file; empty folders are left by runs that could
    not start.

    Raises:
        ConfigurationError: it cannot be made or written, or ``out`` already holds something.
    """
    path = Path(out).resolve() if out else results.resolve() / experiment
    try:
        folder = _take(path) if out else RunFolder(_make_new(path), is_ours=True)
        folder.shard_folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"results folder {path}: {error.strerror}; must be a folder that can be written"
        ) from None
    return folder


def new_folder(experiment: str, results: Path) -> Path:
    """Make a new, empty folder below ``results/<experiment>``, named after job id or time.

    Raises:
        ConfigurationError: it cannot be made.
    """
    parent = results.resolve() / experiment
    try:
        return _make_new(parent)
    except OSError as error:
        raise ConfigurationError(
            f"results folder {parent}: {error.strerror}; must be a folder that can be written"
        ) from None


def following(path: Path) -> Path:
    """A new folder beside ``path``, for the run that begins anew after it: ``run_2`` after ``run``."""
    candidates = (path.with_name(f"{path.name}_{number}") for number in count(2))
    return next(each for each in candidates if not each.exists())


def _take(path: Path) -> RunFolder:
    """A folder that the user named."""
    if path.exists() and (not path.is_dir() or any(not inner.is_dir() for inner in path.rglob("*"))):
        raise ConfigurationError(f"--out {path}: already there and not empty; must be a new or an empty folder")
    is_ours = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    return RunFolder(path, is_ours)


def _make_new(parent: Path) -> Path:
    """A folder named after job id or time stamp; with a number behind it if another run has that name already."""
    parent.mkdir(parents=True, exist_ok=True)
    name = os.environ.get("SLURM_JOB_ID") or time.strftime("%Y-%m-%d_%H-%M-%S")
    candidates = (parent / each for each in chain([name], (f"{name}_{number}" for number in count(2))))
    while True:
        folder = next(candidates)
        with suppress(FileExistsError):  # of runs that start together each makes one
            folder.mkdir()
            return folder


def start_logging(folder: RunFolder) -> None:
    """Log of the body rank: to ``log.txt`` and to standard error; from now on to nowhere else."""
    log = logging.getLogger("cosim")
    log.setLevel(logging.INFO)
    log.handlers.clear()
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    for handler in (LogFile(folder.log_file), logging.StreamHandler()):
        handler.setFormatter(formatter)
        log.addHandler(handler)


class LogFile(logging.FileHandler):
    """A log that ends where its disk is full: there is another one on the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:
        logging.getLogger("cosim").removeHandler(self)
