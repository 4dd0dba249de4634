# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim report``: what one or several runs did, from their result folders alone."""

from __future__ import annotations

import json as json_format
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cosim.analysis.results import RunData, Spikes
from cosim.errors import ConfigurationError

LATE_MS = 500.0  # the window of the second rate, if none is asked for
CONNECTING = {
    "synapses_per_s": "synapses made per s",
    "synapses_per_s_and_core": "synapses made per s and core",
    "bytes_per_synapse": "bytes per synapse",
}
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


def main(folders: Sequence[str], start_ms: float | None, end_ms: float | None, json: bool = False) -> int:
    """Print the report on some runs as one JSON object or as tables, side by side.

    Raises:
        ConfigurationError: a folder holds no finished run, or the window lies outside of it.
    """
    runs = [report(Path(folder), start_ms, end_ms) for folder in folders]
    if json:
        print(json_format.dumps({"runs": runs}, indent=2))
    else:
        Console(markup=False, highlight=False).print(Group(*_tables(runs)))
    return 0


def report(folder: Path, start_ms: float | None = None, end_ms: float | None = None) -> dict[str, Any]:
    """What is known of a run: its configuration, speed, memory and the activity of each recorded population.

    The rate of the window is over ``start_ms`` < t <= ``end_ms``, by default the last 500 ms.

    Raises:
        ConfigurationError: the folder holds no finished run, or the window lies outside of it.
    """
    data = RunData(folder)
    try:
        summary = json_format.loads(data.folder.summary_file.read_text())
        config = tomllib.loads((folder / "config.toml").read_text())
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise ConfigurationError(
            f"{folder}: no {name}: must be the results folder of a run that has ended"
        ) from None
    window_ms = _window(folder, 1000 * summary["simulated_s"], start_ms, end_ms)
    return {
        "folder": str(folder),
        "title": config.get("title", ""),
        "seed": config["seed"],
        "brain": config["brain"],
        "body": config.get("body"),
        **{key: summary[key] for key in COPIED},
        "window_ms": window_ms,
        "populations": dict(_populations(data, summary, window_ms)) if summary["steps"] else {},
    }


def _window(
    folder: Path, length_ms: float, start_ms: float | None, end_ms: float | None
) -> tuple[float, float]:
    end_ms = length_ms if end_ms is None else end_ms
    start_ms = max(0.0, end_ms - LATE_MS) if start_ms is None else start_ms
    if length_ms and not 0 <= start_ms < end_ms <= length_ms:
        raise ConfigurationError(
            f"{folder}: the window from {start_ms:g} to {end_ms:g} ms must lie within 0 to {length_ms:g} ms"
        )
    return start_ms, end_ms


def _populations(
    data: RunData, summary: dict[str, Any], window_ms: tuple[float, float]
) -> Iterator[tuple[str, dict[str, Any]]]:
    neurons = {each["name"]: each["neurons"] for each in summary["built"].get("populations", ())}
    length_ms, (start_ms, end_ms) = 1000 * summary["simulated_s"], window_ms
    for name, spikes in data.spikes.items():
        times_ms, rate_hz = spikes.timestamps_ms, summary["mean_rate_hz"][name]
        within = np.count_nonzero((times_ms > start_ms) & (times_ms <= end_ms))
        # The run's mean rate counts recorded neurons only, and so does a share of it.
        share = within / max(times_ms.size, 1) * length_ms / (end_ms - start_ms)
        yield (
            name,
            {
                "neurons": neurons.get(name),
                "spikes": times_ms.size,
                "mean_rate_hz": rate_hz,
                "window_rate_hz": rate_hz * share,
                "cv_of_intervals": cv_of_intervals(spikes),
            },
        )


def cv_of_intervals(spikes: Spikes) -> float | None:
    """Standard deviation over mean of a neuron's interspike intervals, averaged over neurons.

    Over the whole run and all neurons with two intervals or more; None where there is no such neuron.
    """
    order = np.lexsort((spikes.timestamps_ms, spikes.node_ids))
    ids = spikes.node_ids[order].astype(np.int64)
    intervals_ms, same = np.diff(spikes.timestamps_ms[order]), ids[1:] == ids[:-1]
    _, owner, count = np.unique(ids[1:][same], return_inverse=True, return_counts=True)
    mean_ms = np.bincount(owner, intervals_ms[same]) / count
    variance = np.bincount(owner, (intervals_ms[same] - mean_ms[owner]) ** 2) / count
    several = count >= 2
    return float(np.mean(np.sqrt(variance[several]) / mean_ms[several])) if several.any() else None


# For people


def _tables(runs: list[dict[str, Any]]) -> Iterator[RenderableType]:
    yield from (_heading("Runs"), _rows(runs, _what))
    yield from (
        _heading("Activity: rate over the run, rate over the window, CV of intervals"),
        _activity(runs),
    )
    yield from (_heading("Built"), _rows(runs, _built))
    yield from (_heading("Wall time (s, longest rank) and memory (MB, peak)"), _rows(runs, _cost))


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _table(columns: Iterable[str]) -> Table:
    """The first column is for names, the others hold numbers or what stands in their place."""
    table = Table(box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    return table


def _rows(runs: list[dict[str, Any]], describe: Callable[[dict[str, Any]], dict[str, str]]) -> Table:
    """One column for each run, one row for each thing that ``describe`` says of any of them."""
    columns = [describe(run) for run in runs]
    table = _table(f"run {number}" if len(runs) > 1 else "" for number in range(1, len(runs) + 1))
    for name in dict.fromkeys(name for column in columns for name in column):
        table.add_row(name, *(column.get(name, "") for column in columns))
    return table


def _what(run: dict[str, Any]) -> dict[str, str]:
    brain = {f"brain.{name}": _value(value) for name, value in run["brain"].items()}
    return {
        "folder": run["folder"],
        "experiment": run["experiment"],
        "title": run["title"],
        **brain,
        "body": run["body"]["model"] if run["body"] else "none",
        "seed": str(run["seed"]),
        "brain ranks x threads": f"{run['brain_ranks']} x {run['threads_per_brain_rank']}",
        "steps": f"{run['steps']} ({run['simulated_s']:g} s)",
        "complete": "yes" if run["complete"] else f"no: {run['stopped_by']}",
        "real-time factor": _number(run["real_time_factor"], ".3g"),
        "coupling fraction": _number(run["coupling_fraction"], ".2%"),
    }


def _activity(runs: list[dict[str, Any]]) -> Table:
    """Populations down, and for each run its neurons, spikes, rates and irregularity across."""
    table = _table(
        column for number, run in enumerate(runs, 1) for column in _activity_columns(number, run, runs)
    )
    for name in dict.fromkeys(name for run in runs for name in run["populations"]):
        cells = (cell for run in runs for cell in _activity_cells(run["populations"].get(name)))
        table.add_row(name, *cells)
    return table


def _activity_columns(number: int, run: dict[str, Any], runs: list[dict[str, Any]]) -> list[str]:
    first = "neurons" if len(runs) == 1 else f"run {number}: neurons"
    return [first, "spikes", "Hz", "Hz {:g}-{:g} ms".format(*run["window_ms"]), "CV"]


def _activity_cells(population: dict[str, Any] | None) -> list[str]:
    if population is None:
        return [""] * 5
    formats = {
        "neurons": ",",
        "spikes": ",",
        "mean_rate_hz": ".3f",
        "window_rate_hz": ".3f",
        "cv_of_intervals": ".2f",
    }
    return [_number(population[key], format_) for key, format_ in formats.items()]


def _built(run: dict[str, Any]) -> dict[str, str]:
    built = run["built"]
    regions = {
        name: f"{region['neurons']:,} neurons, {region['synapses']:,} synapses"
        for name, region in built["regions"].items()
    }
    return regions | {f"{kind} links": f"{number:,}" for kind, number in built.get("links", {}).items()}


def _cost(run: dict[str, Any]) -> dict[str, str]:
    wall = {name: f"{seconds:.2f}" for name, seconds in run["wall_s"].items()}
    loop = {f"  of it {name}": f"{seconds:.2f}" for name, seconds in run["loop_phases_s"].items()}
    body_mb, *brain_mb = run["peak_memory_mb"]
    speed = {CONNECTING[key]: f"{value:,.3g}" for key, value in (run["connect"] or {}).items() if key in CONNECTING}
    memory = {"memory, body rank": f"{body_mb:,.0f}", "memory, largest brain rank": f"{max(brain_mb):,.0f}"}
    return wall | speed | loop | memory | {"memory in all": f"{body_mb + sum(brain_mb):,.0f}"}


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _number(value: float | None, format_: str) -> str:
    return "-" if value is None else format(value, format_)
