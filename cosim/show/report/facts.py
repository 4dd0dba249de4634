# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of a run, collected from the files of its results folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cosim.errors import ConfigurationError
from cosim.results.irregularity import irregularity
from cosim.results.run_data import RunData, load_ended

LATE_MS = 500.0  # the window of the second rate, if none is asked for
COPIED = (
    "experiment",
    "complete",
    "stopped_by",
    "steps",
    "simulated_s",
    "brain_ranks",
    "threads_per_brain_rank",
    "built",
    "connect",
    "wall_s",
    "loop_phases_s",
    "peak_memory_mb",
    "real_time_factor",
    "coupling_fraction",
)


def report(folder: Path, start_ms: float | None = None, end_ms: float | None = None) -> dict[str, Any]:
    """What is known of a run: its configuration, speed, memory and the activity of each recorded population.

    The rate of the window is over ``start_ms`` < t <= ``end_ms``, by default the last 500 ms.

    Raises:
        ConfigurationError: the folder holds no finished run, or the window lies outside of it.
    """
    data = load_ended(folder)
    summary, config = data.summary, data.config
    window_ms = _window(folder, 1000 * summary["simulated_s"], start_ms, end_ms)
    return {
        "folder": str(folder),
        "title": config.get("title", ""),
        "seed": config["seed"],
        "brain": config["brain"],
        "body": config.get("body"),
        **{key: summary[key] for key in COPIED},
        "configuration": config,
        "provenance": {key: _plain(value) for key, value in data.provenance.items() if key != "configuration"},
        "step_ms": _step_times(data) if summary["steps"] else {},
        "window_ms": window_ms,
        "populations": dict(_populations(data, window_ms)) if summary["steps"] else {},
    }


def _plain(value: Any) -> Any:
    """A value that JSON knows for one of numpy's."""
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value


def _window(folder: Path, length_ms: float, start_ms: float | None, end_ms: float | None) -> tuple[float, float]:
    end_ms = length_ms if end_ms is None else end_ms
    start_ms = max(0.0, end_ms - LATE_MS) if start_ms is None else start_ms
    if length_ms and not 0 <= start_ms < end_ms <= length_ms:
        raise ConfigurationError(
            f"{folder}: the window from {start_ms:g} to {end_ms:g} ms must lie within 0 to {length_ms:g} ms"
        )
    return start_ms, end_ms


def _populations(data: RunData, window_ms: tuple[float, float]) -> Iterator[tuple[str, dict[str, Any]]]:
    length_ms, (start_ms, end_ms) = 1000 * data.summary["simulated_s"], window_ms
    for name, spikes in data.spikes.items():
        times_ms, rate_hz = spikes.timestamps_ms, data.summary["mean_rate_hz"][name]
        within = np.count_nonzero((times_ms > start_ms) & (times_ms <= end_ms))
        # The run's mean rate counts recorded neurons only, and so does a share of it.
        share = within / max(times_ms.size, 1) * length_ms / (end_ms - start_ms)
        irregular = irregularity(data, name)
        yield (
            name,
            {
                "neurons": data.populations[name].size,
                "spikes": times_ms.size,
                "mean_rate_hz": rate_hz,
                "window_rate_hz": rate_hz * share,
                "cv_of_intervals": irregular.cv,
                "cv2_of_intervals": irregular.cv2,
                "fano_factor": irregular.fano,
                "statistics_by": irregular.by,
            },
        )


def _step_times(data: RunData) -> dict[str, dict[str, float]]:
    """Wall time in ms of each phase of a step on the rank where it took longest: over all steps."""
    return {name: _spread(1000 * times_s.max(axis=0)) for name, times_s in data.profile.items()}


def _spread(times_ms: np.ndarray) -> dict[str, float]:
    p99 = float(np.percentile(times_ms, 99))
    return {"mean": float(times_ms.mean()), "p99": p99, "max": float(times_ms.max())}
