# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as Neurodata Without Borders: neurons as units; exchange and body as time series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import tomli_w
from hdmf.common import VectorData, VectorIndex
from pynwb import NWBHDF5IO, NWBFile, ProcessingModule, TimeSeries
from pynwb.behavior import Position, SpatialSeries
from pynwb.misc import Units

from cosim.devices.series import DeviceSeries, label
from cosim.engines.built import BuiltPopulation
from cosim.results.recorded_nodes import recorded_nodes
from cosim.results.run_data import RunData

MS_PER_S = 1000.0


def write(run: RunData, path: Path) -> None:
    """Write one NWB file."""
    provenance, summary = run.provenance, run.summary
    started = datetime.fromisoformat(provenance["started"])
    file = NWBFile(
        session_description=run.config.get("title") or summary["experiment"],
        identifier=f"{summary['experiment']} {provenance['started']} seed {run.config['seed']}",
        session_start_time=started,
        experiment_description=f"Simulation of {summary['simulated_s']:g} s "
        f"with cosim {provenance['version_cosim']} and {provenance['version_nest']}",
        notes=tomli_w.dumps(run.config),
        keywords=["simulation", "cosim", "NEST", summary["experiment"]],
    )
    if run.spikes:
        file.units = _units(run)
    for module in (_exchange(run), _behavior(run)):
        if module.data_interfaces:
            file.add_processing_module(module)
    with NWBHDF5IO(str(path), "w") as writer:
        writer.write(file)


def _units(run: RunData) -> Units:
    """A row for each recorded neuron, silent ones too; of a population recorded in part, for each that fired.

    Columns are filled as whole arrays: row by row a hundred thousand neurons would take minutes.
    """
    owners, nodes, times_s, ends, done = [], [], [], [], 0
    for name, spikes in run.spikes.items():
        population = run.populations[name]
        mine = recorded_nodes(population, spikes.node_ids)
        order = np.argsort(spikes.node_ids, kind="stable")
        times_s.append(spikes.timestamps_ms[order] / MS_PER_S)
        ends.append(done + np.searchsorted(spikes.node_ids[order], mine, side="right"))
        done += len(order)
        owners += [population] * len(mine)
        nodes.append(mine)
    times = VectorData(name="spike_times", description="spike times in s", data=np.concatenate(times_s))
    index = VectorIndex(name="spike_times_index", target=times, data=np.concatenate(ends))
    node_id = VectorData(name="node_id", description="from 0 in each population", data=np.concatenate(nodes))
    known = list(_columns(owners))
    names = [each.name for each in (times, node_id, *known)]
    ids = np.arange(len(owners))
    return Units(
        name="units",
        description="simulated neurons",
        columns=[times, index, node_id, *known],
        colnames=names,
        id=ids,
    )


def _columns(owners: Sequence[BuiltPopulation]) -> Iterator[VectorData]:
    """What is known of the population of each neuron; a column for each thing that is known of any."""
    for attribute, description in COLUMNS.items():
        values = [getattr(each, attribute) for each in owners]
        if any(values):
            name = "population" if attribute == "name" else attribute
            yield VectorData(name=name, description=description, data=values)


COLUMNS = {
    "name": "population that the neuron belongs to",
    "region": "region of the brain",
    "layer": "layer; empty where there are none",
    "cell_type": "type of cell",
    "neuron_model": "NEST's neuron model",
}
"""Attributes of a population that become columns, where they are known of any."""


def _exchange(run: RunData) -> ProcessingModule:
    """A time series for each spike sink, each spike source and each value that a transfer function returned."""
    module = ProcessingModule(name="exchange", description="what brain and body exchanged in every coupling step")
    step_s = run.config["clock"]["coupling_step_ms"] / MS_PER_S
    for each in run.sinks.values():
        text = f"{each.quantity} of a spike sink at the end of each step"
        module.add(_of_device(each, text, step_s / each.samples, step_s / each.samples))
    for each in run.sources.values():
        text = f"{each.quantity} of a spike source that acted from then on for one step"
        module.add(_of_device(each, text, 0.0, step_s / each.samples))
    for name, values in run.returned.items():
        text = f"what the transfer function {name.partition('.')[0]} returned at the end of each step; NaN if nothing"
        module.add(_series(f"transfer_{name}", text, values, "as the function has it", step_s, step_s))
    return module


SI_UNITS = {"mV": ("volts", 1e-3), "pA": ("amperes", 1e-12), "nS": ("siemens", 1e-9)}
"""NEST's units as NWB wants them, and what values in them are multiplied by."""


def _of_device(device: DeviceSeries, text: str, start_s: float, step_s: float) -> TimeSeries:
    unit, factor = SI_UNITS.get(device.units, (device.units, 1.0))
    name = f"{device.name}_{device.quantity}".replace(" ", "_")
    return _series(name, f"{text}; of {device.population}", factor * device.rows, unit, start_s, step_s)


def _behavior(run: RunData) -> ProcessingModule:
    module = ProcessingModule(name="behavior", description="the body, after every physics step")
    for each in _of_body(run):
        module.add(each)
    return module


def _of_body(run: RunData) -> Iterator[TimeSeries | Position]:
    """A time series for each series of the body; positions as NWB has them."""
    step_s = run.config["clock"]["physics_step_ms"] / MS_PER_S
    for name, values in run.body.items():
        if name == "time_ms":
            continue
        text = f"{label(*run.quantity(name))}; columns: {', '.join(run.columns(name))}"
        if name.endswith("position_m"):
            frame = "the world of the body, z is up"
            timing = {"starting_time": step_s, "rate": 1 / step_s}
            what = {"name": name, "description": text, "reference_frame": frame}
            place = SpatialSeries(data=values, unit="meters", **what, **timing)
            yield Position(spatial_series=place, name=name.removesuffix("_m"))
        else:
            yield _series(name, text, values, run.quantity(name)[1], step_s, step_s)


def _series(name: str, text: str, values: np.ndarray, unit: str, start_s: float, step_s: float) -> TimeSeries:
    timing = {"starting_time": start_s, "rate": 1 / step_s}
    return TimeSeries(name=name, data=values, unit=unit, description=text, **timing)
