# SPDX-License-Identifier: GPL-2.0-or-later
"""How far a run is and what it does now, from the files in its folder alone.

Only the last rows are read, so that a look takes little time however long the run is. The writer is not
disturbed: it never waits for a lock, and nothing is written.
"""

from __future__ import annotations

import json
import time
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

import h5py
import numpy as np

from cosim.engines.built import BuiltPopulation
from cosim.errors import ConfigurationError
from cosim.experiment.config import Clock
from cosim.record import attempts, built, failed, failure, populations
from cosim.record.folder import RunFolder
from cosim.record.merge import open_shard
from cosim.record.names import MEMORY, PROFILE
from cosim.record.owner import last_written, living_owner
from cosim.record.profile import unsteered
from cosim.record.runfile import whole_steps
from cosim.results import shards
from cosim.results.run_data import RunData

STARTS, BUILDS, RUNS, PAUSED, MERGES = "starts", "builds", "runs", "paused", "makes results"
COMPLETE, STOPPED, DEAD = "complete", "stopped", "dead"
ENDED = (COMPLETE, STOPPED, DEAD)
SILENT = "no process writes it any more, and no rank could say why"
RATE_WINDOW_MS = 500.0
RECENT_S = 5.0
POSITIONS = {"tip": "tip_position_m", "vehicle": "position_m"}


@dataclass(frozen=True)
class Glance:
    """What the files of a run told at a moment; None and empty are for what is not known (yet).

    ``step`` steps of ``steps`` are on disk whole. Real-time factors are those of ``summary.json``, of all steps so
    far and of those of the last seconds, as the body rank sees them. Rates in Hz per recorded neuron are over the
    last ``window_ms``. ``position_m`` is of the body after ``step`` steps. ``memory_mb`` is of each rank: in use at
    its last flush, or of a run that has ended, its peak.
    """

    folder: str
    state: str
    reason: str = ""
    step: int = 0
    steps: int | None = None
    simulated_ms: float = 0.0
    real_time_factor: float | None = None
    recent_real_time_factor: float | None = None
    left_s: float | None = None
    window_ms: float = 0.0
    rate_hz: Mapping[str, float] = field(default_factory=dict)
    position_m: Mapping[str, list[float]] = field(default_factory=dict)
    memory_mb: list[float] = field(default_factory=list)
    failed_functions: list[dict[str, Any]] = field(default_factory=list)
    written_s_ago: float | None = None

    @property
    def has_ended(self) -> bool:
        """Whether there will be nothing new."""
        return self.state in ENDED


class Speed(TypedDict, total=False):
    """How fast a run is; empty before its first step."""

    real_time_factor: float
    recent_real_time_factor: float
    left_s: float


class Watcher:
    """Looks at a run again and again; keeps the wall times of steps that it has read."""

    def __init__(self, path: Path) -> None:
        self.path, self._run, self._step_wall_s = path, RunFolder(path), np.empty(0)

    def look(self) -> Glance:
        """What the files tell now.

        Raises:
            ConfigurationError: it is not the folder of a run.
            OSError, KeyError, RuntimeError, ValueError: files changed their places meanwhile, as at the end of
                a run; look again.
        """
        folder = self._current()
        if not folder.config_file.is_file():
            return self._without_configuration(folder)
        clock = Clock.model_validate(tomllib.loads(folder.config_file.read_text())["clock"])
        if folder.shard_folder.is_dir():
            return self._in_shards(folder, clock)
        return _ended(folder, clock)

    def _current(self) -> RunFolder:
        """Where the run is written: one that was resumed beside its old results, until it has more."""
        attempt = attempts.attempt(self._run)
        return attempt if attempt.shard_folder.is_dir() else self._run

    @staticmethod
    def _without_configuration(folder: RunFolder) -> Glance:
        if not folder.shard_folder.is_dir():
            name = folder.config_file.name
            raise ConfigurationError(f"{folder.path}: no {name}: must be the results folder of a run")
        return Glance(str(folder.path), STARTS)

    def _in_shards(self, folder: RunFolder, clock: Clock) -> Glance:
        """A run that goes on, or died."""
        alive = bool(living_owner(folder))
        known = Glance(
            str(folder.path),
            BUILDS if alive else DEAD,
            "" if alive else failure.first_told(folder) or SILENT,
            steps=clock.steps,
            failed_functions=[asdict(each) for each in failed.told(folder.failed_file)],
            written_s_ago=max(0.0, time.time() - last_written(folder)),
        )
        if not folder.built_file.is_file():
            return known
        recorded = populations.read(folder.populations_file)
        reports = built.read(folder.built_file, recorded).reports
        step = whole_steps(folder.run_file, folder.shards(len(reports)), clock.substeps)
        window = min(step, max(1, round(RATE_WINDOW_MS / clock.coupling_step_ms)))
        is_over = step == clock.steps or folder.summary_file.is_file()
        return replace(
            known,
            state=DEAD if not alive else PAUSED if _is_paused(folder) else MERGES if is_over else RUNS,
            step=step,
            simulated_ms=step * clock.coupling_step_ms,
            window_ms=window * clock.coupling_step_ms,
            rate_hz=_rates_of_shards(folder, recorded, range(step - window, step), clock.coupling_step_ms),
            position_m=dict(_positions(folder, step * clock.substeps)),
            memory_mb=[_memory_mb(folder.shard(rank), report.peak_memory_mb) for rank, report in enumerate(reports)],
            **self._speed(folder, step, clock),
        )

    def _speed(self, folder: RunFolder, step: int, clock: Clock) -> Speed:
        """Real-time factors and the time that is left, from the wall times of the body rank's steps."""
        with open_shard(folder.shard(0)) as file:
            if len(file[PROFILE]) < len(self._step_wall_s):
                self._step_wall_s = np.empty(0)  # another run, or another attempt
            new_s = unsteered(file[PROFILE][len(self._step_wall_s) :]).sum(axis=1)
        self._step_wall_s = np.concatenate([self._step_wall_s, new_s])
        if not step:
            return {}
        back_s = np.cumsum(self._step_wall_s[:step][::-1])
        recent = max(1, int(np.searchsorted(back_s, RECENT_S)))
        step_s = clock.coupling_step_ms / 1000
        return {
            "real_time_factor": step * step_s / float(back_s[-1]),
            "recent_real_time_factor": recent * step_s / float(back_s[recent - 1]),
            "left_s": (clock.steps - step) * float(back_s[recent - 1]) / recent,
        }


def _is_paused(folder: RunFolder) -> bool:
    """Whether steering lets it stand still."""
    try:
        return json.loads(folder.state_file.read_text())["state"] == PAUSED
    except OSError:  # nobody steers it, or it is somebody else's
        return False


def _ended(folder: RunFolder, clock: Clock) -> Glance:
    """A run whose results are there."""
    data = RunData(folder.path)
    summary = data.summary
    step = summary["steps"]
    length_ms = step * clock.coupling_step_ms
    window_ms = min(RATE_WINDOW_MS, length_ms)
    return Glance(
        folder=str(folder.path),
        state=COMPLETE if summary["complete"] else STOPPED,
        reason=summary["stopped_by"],
        step=step,
        steps=clock.steps,
        simulated_ms=length_ms,
        real_time_factor=summary["real_time_factor"],
        window_ms=window_ms,
        rate_hz=_rates_of_results(data, length_ms - window_ms, window_ms) if step else {},
        position_m=dict(_positions(folder, step * clock.substeps)),
        memory_mb=summary["peak_memory_mb"],
        failed_functions=summary.get("failed_functions", []),
        written_s_ago=max(0.0, time.time() - last_written(folder)),
    )


def _rates_of_shards(folder: RunFolder, known: list[BuiltPopulation], steps: range, step_ms: float) -> dict[str, float]:
    recorded = [each for each in known if each.recorded]
    if not steps:
        return {}
    spikes = shards.read_spikes(folder, recorded, steps)
    window_s = len(steps) * step_ms / 1000
    return {each.name: len(spikes[each.name][0]) / each.recorded / window_s for each in recorded}


def _rates_of_results(data: RunData, start_ms: float, window_ms: float) -> dict[str, float]:
    with h5py.File(data.folder.spike_file, "r") as file:
        times = {name: group["timestamps"] for name, group in file["spikes"].items()}
        # Sorted by time: a search reads a few blocks of a file that may not fit into memory.
        counts = {name: len(each) - bisect_right(each, start_ms) for name, each in times.items()}
    return {name: count / data.populations[name].recorded / window_ms * 1000 for name, count in counts.items()}


def _positions(folder: RunFolder, rows: int) -> Iterator[tuple[str, list[float]]]:
    """Where the parts of the body are that have a position, after so many physics steps."""
    with open_shard(folder.run_file) as file:
        for name, series in POSITIONS.items():
            if rows and f"body/{series}" in file:
                yield name, file[f"body/{series}"][rows - 1].tolist()


def _memory_mb(shard: Path, peak_mb: float) -> float:
    """What a rank had in use at its last flush; before the first one what it took for building."""
    with open_shard(shard) as file:
        return float(file[MEMORY][-1]) if MEMORY in file and len(file[MEMORY]) else peak_mb
