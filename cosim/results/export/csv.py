# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as a folder of CSV files, one for each table."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from cosim.devices.series import DeviceSeries
from cosim.engines.built import BuiltPopulation
from cosim.results.flatten import flatten
from cosim.results.run_data import RunData

BLOCK_ROWS = 100_000


def write(run: RunData, path: Path) -> None:
    """Make a folder with spikes.csv, populations.csv, exchange.csv, summary.csv and, of a body, body.csv.

    Of spikes that were exchanged one by one also exchanged_spikes.csv. What has several samples a step has a file of
    its own, exchange_NAME.csv.
    """
    path.mkdir()
    names = [field.name for field in fields(BuiltPopulation)]
    _write(path / "populations.csv", names, (asdict(each).values() for each in run.populations.values()))
    _write(path / "spikes.csv", ["population", "node_id", "time_ms"], _spikes(run))
    _write_columns(path / "exchange.csv", dict(_exchanged(run)))
    if run.exchanged_spikes:
        _write(path / "exchanged_spikes.csv", ["device", "neuron", "time_ms"], _listed(run))
    for each in _exchanging(run):
        if each.samples > 1:
            _write_columns(
                path / f"exchange_{each.name}.csv", {"time_ms": each.time_ms(run.exchange_time_ms), **_of(each)}
            )
    if run.body:
        _write_columns(path / "body.csv", dict(_of_body(run)))
    _write(path / "summary.csv", ["key", "value"], flatten(run.summary))


def _write(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _write_columns(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    _write(path, list(columns), zip(*(values.tolist() for values in columns.values()), strict=True))


def _spikes(run: RunData) -> Iterator[tuple[str, int, float]]:
    """Population by population, each in order of time."""
    for name, spikes in run.spikes.items():
        for start in range(0, len(spikes.node_ids), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            for node, time_ms in zip(
                spikes.node_ids[block].tolist(), spikes.timestamps_ms[block].tolist(), strict=True
            ):
                yield name, node, time_ms


def _listed(run: RunData) -> Iterator[tuple[str, int, float]]:
    """Device by device; neuron -1 stands for all."""
    for name, spikes in run.exchanged_spikes.items():
        for neuron, time_ms in zip(spikes.neurons.tolist(), spikes.times_ms.tolist(), strict=True):
            yield name, neuron, time_ms


def _exchanged(run: RunData) -> Iterator[tuple[str, np.ndarray]]:
    """``time_ms`` is the end of a step; the value of a sink is of then, that of a source acted in the step.

    What transfer functions returned then is ``nan`` where they were not called.
    """
    yield "time_ms", run.exchange_time_ms
    for each in _exchanging(run):
        if each.samples == 1:
            yield from _of(each).items()
    for name, values in run.returned_columns.items():
        yield f"transfer.{name}", values


def _exchanging(run: RunData) -> list[DeviceSeries]:
    return [*run.sinks.values(), *run.sources.values()]


def _of(device: DeviceSeries) -> dict[str, np.ndarray]:
    """Its columns by their heads, such as ``arm.voltage_mv``."""
    return {f"{name}.{device.key}": values for name, values in device.columns.items()}


def _of_body(run: RunData) -> Iterator[tuple[str, np.ndarray]]:
    """Columns such as ``joint_angle_rad.elbow``."""
    yield "time_ms", run.body["time_ms"]
    for series, values in run.body.items():
        if series != "time_ms":
            yield from (
                (f"{series}.{name}", column) for name, column in zip(run.columns(series), values.T, strict=True)
            )
