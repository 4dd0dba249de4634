# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of a report, one column or more for each run: the same for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, NamedTuple

from cosim.results.flatten import flatten

CONNECTING = {
    "synapses_per_s": "synapses made per s",
    "synapses_per_s_and_core": "synapses made per s and core",
    "bytes_per_synapse": "bytes per synapse",
}
ACTIVITY_FORMATS = {
    "neurons": ",",
    "spikes": ",",
    "mean_rate_hz": ".3f",
    "window_rate_hz": ".3f",
    "cv_of_intervals": ".2f",
    "cv2_of_intervals": ".2f",
    "fano_factor": ".2f",
}


class ReportTable(NamedTuple):
    """``rows`` start with a name; the other cells stand below ``columns``."""

    title: str
    columns: list[str]
    rows: list[tuple[str, ...]]
    note: str = ""


def tables(runs: list[dict[str, Any]]) -> Iterator[ReportTable]:
    """All tables; several runs stand side by side."""
    yield _side_by_side("Runs", runs, _what)
    yield _activity(runs)
    yield _side_by_side("Built", runs, _built)
    yield _side_by_side("Wall time (s, longest rank) and memory (MB, peak)", runs, _cost)
    if any(run["step_ms"] for run in runs):
        yield _side_by_side("Wall time of a step (ms, longest rank): mean, 99th percentile, longest", runs, _steps)
    yield _side_by_side("Machine and versions", runs, _provenance)
    if len(runs) > 1:
        yield _differences(runs)


def _side_by_side(
    title: str, runs: list[dict[str, Any]], describe: Callable[[dict[str, Any]], dict[str, str]]
) -> ReportTable:
    """One column for each run, one row for each thing that ``describe`` says of any of them."""
    described = [describe(run) for run in runs]
    names = dict.fromkeys(name for column in described for name in column)
    rows = [(name, *(column.get(name, "") for column in described)) for name in names]
    return ReportTable(title, run_names(runs), rows)


def run_names(runs: list[dict[str, Any]]) -> list[str]:
    """What heads the columns: nothing for a single run."""
    return [f"run {number}" if len(runs) > 1 else "" for number in range(1, len(runs) + 1)]


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


def _activity(runs: list[dict[str, Any]]) -> ReportTable:
    """Populations down, and for each run its neurons, spikes, rates and irregularity across."""
    columns = [column for number, run in enumerate(runs, 1) for column in _activity_columns(number, run, runs)]
    names = dict.fromkeys(name for run in runs for name in run["populations"])
    rows = [(name, *(cell for run in runs for cell in _activity_cells(run["populations"].get(name)))) for name in names]
    title = "Activity: rate over the run, rate over the window, irregularity over the run"
    return ReportTable(title, columns, rows, _note(runs))


def _activity_columns(number: int, run: dict[str, Any], runs: list[dict[str, Any]]) -> list[str]:
    first = "neurons" if len(runs) == 1 else f"run {number}: neurons"
    return [first, "spikes", "Hz", "Hz {:g}-{:g} ms".format(*run["window_ms"]), "CV", "CV2", "Fano"]


def _activity_cells(population: dict[str, Any] | None) -> list[str]:
    if population is None:
        return [""] * len(ACTIVITY_FORMATS)
    return [_number(population[key], format_) for key, format_ in ACTIVITY_FORMATS.items()]


def _note(runs: list[dict[str, Any]]) -> str:
    by = sorted({each["statistics_by"] for run in runs for each in run["populations"].values()}, reverse=True)
    if not by:
        return ""
    what = "CV and CV2 of a neuron's intervals, and variance over mean of its counts in windows of 100 ms (Fano)"
    return f"{what}, averaged over neurons; computed by {' and '.join(by)}."


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


def _steps(run: dict[str, Any]) -> dict[str, str]:
    return {name: "{mean:.3g}  {p99:.3g}  {max:.3g}".format(**times_ms) for name, times_ms in run["step_ms"].items()}


def _provenance(run: dict[str, Any]) -> dict[str, str]:
    """What is not said of the run already; one digest stands for those of all files of the models."""
    said = {"seed", "brain_ranks", "threads_per_brain_rank", "virtual_processes", "files"}
    digest = sha256(str(run["provenance"].get("files", "")).encode()).hexdigest()[:12]
    return {
        "files of the models": digest,
        **{
            name.removeprefix("version_").replace("_", " "): str(value)
            for name, value in run["provenance"].items()
            if name not in said
        },
    }


def _differences(runs: list[dict[str, Any]]) -> ReportTable:
    """The keys of the configurations that are not the same in all runs."""
    flat = [{name: str(value) for name, value in flatten(run["configuration"])} for run in runs]
    names = dict.fromkeys(name for each in flat for name in each)
    rows = [(name, *(each.get(name, "") for each in flat)) for name in names]
    differing = [row for row in rows if len(set(row[1:])) > 1] or [("none", *[""] * len(runs))]
    return ReportTable("Configuration: what differs", run_names(runs), differing)


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _number(value: float | None, format_: str) -> str:
    return "-" if value is None else format(value, format_)
