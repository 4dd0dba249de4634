# SPDX-License-Identifier: GPL-2.0-or-later
"""What the spikes of a run belong to, in the SONATA format: nodes, reports, and two configurations.

``nodes.h5`` and ``node_types.csv`` hold all populations of the brain and, as populations of their own, its
spike sinks and spike sources; ``sink_voltages.h5``, ``source_rates.h5`` and so on, one for each quantity, are
reports on these.
``circuit_config.json`` and ``simulation_config.json`` are what libsonata and bluepysnap open; bmtk opens the
node files. Body rank only.

Region, layer, cell type and model are the same for all neurons of a population. They are in
``node_types.csv``, where the format has them, and in ``nodes.h5``, where libsonata looks for them. There they
are the fill values of datasets, which take no space. Format: https://github.com/AllenInstitute/sonata and
https://sonata-extension.readthedocs.io.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosim.devices.series import DeviceSeries, by_quantity
from cosim.engines.built import BuiltPopulation
from cosim.network.layout import Grid, Layout, Scattered
from cosim.network.network import Network
from cosim.record.sonata import write_magic, write_report

SINKS, SOURCES = "spike_sinks", "spike_sources"
FIRST_TYPE_ID = 100
ATTRIBUTES = ("region", "layer", "cell_type", "model_type", "model_template")
BLOCK_NODES = 2**20
UM_PER_MM = 1000.0


@dataclass(frozen=True)
class NodePopulation:
    """A population as SONATA describes it; empty texts are for what is not known.

    ``model`` is NEST's name. ``node_names`` are given where every node has a name of its own, ``node_models`` where
    they are of several models.
    """

    name: str
    size: int
    model: str = ""
    region: str = ""
    layer: str = ""
    cell_type: str = ""
    layout: Layout | None = None
    node_names: tuple[str, ...] = ()
    node_models: tuple[str, ...] = ()
    is_virtual: bool = False

    @property
    def attributes(self) -> dict[str, str]:
        """What is known of all of its nodes, by SONATA's names."""
        kind = "virtual" if self.is_virtual else "point_neuron"
        template = f"nest:{self.model}" if self.model else ""
        values = (self.region, self.layer, self.cell_type, kind, template)
        return {name: value for name, value in zip(ATTRIBUTES, values, strict=True) if value}


@dataclass(frozen=True)
class Exchanged:
    """What brain and body exchanged: values of sinks after each step, and of sources in each."""

    sinks: Sequence[DeviceSeries]
    sources: Sequence[DeviceSeries]
    step_ms: float
    steps: int


@dataclass(frozen=True)
class Report:
    """What some nodes of a population of devices exchanged, all of one quantity.

    ``start_ms`` is of the first row, each other is ``step_ms`` later.
    """

    population: NodePopulation
    series: Sequence[DeviceSeries]
    quantity: str
    units: str
    start_ms: float
    step_ms: float

    @property
    def nodes(self) -> dict[int, int]:
        """Number of values of each node, by its id."""
        return {self.population.node_names.index(each.name): len(each.columns) for each in self.series}

    @property
    def end_ms(self) -> float:
        """One step after the last row."""
        return self.start_ms + len(self.series[0].rows) * self.step_ms

    @property
    def values(self) -> np.ndarray:
        """(times, values)."""
        return np.stack([values for each in self.series for values in each.columns.values()], axis=1)


def of_brain(populations: Sequence[BuiltPopulation], network: Network | None) -> list[NodePopulation]:
    """The populations of a brain; of a script, which has no ``network``, only names and sizes are known."""
    return [
        NodePopulation(
            each.name,
            each.size,
            each.neuron_model,
            each.region if network else "",
            each.layer,
            each.cell_type,
            network.by_name[each.name].layout if network else None,
            is_virtual=each.is_relay,
        )
        for each in populations
    ]


def write_circuit(
    folder: Path, brain: Sequence[NodePopulation], exchanged: Exchanged, seed: int, resolution_ms: float
) -> None:
    """Write all files but ``spikes.h5`` into ``folder``; those of a run before are written over."""
    sinks, sources = device_populations(brain, exchanged)
    nodes = [*brain, *(each for each in (sinks, sources) if each.size)]
    write_nodes(folder / "nodes.h5", nodes)
    write_node_types(folder / "node_types.csv", nodes)
    end_ms, step_ms = exchanged.steps * exchanged.step_ms, exchanged.step_ms
    reports = {
        **_reports("sink", sinks, exchanged.sinks, step_ms),
        **_reports("source", sources, exchanged.sources, step_ms),
    }
    for name, each in reports.items():
        path = folder / f"{name}.h5"
        write_report(path, each.population.name, each.nodes, each.values, each.units, each.start_ms, each.step_ms)
    run = {"tstart": 0.0, "tstop": end_ms, "dt": resolution_ms, "random_seed": seed}
    entries = {name: _report_entry(f"{name}.h5", each) for name, each in reports.items()}
    _write_json(folder / "node_sets.json", _node_sets(nodes))
    _write_json(folder / "circuit_config.json", _circuit(nodes))
    _write_json(folder / "simulation_config.json", _simulation(run, entries))


def device_populations(brain: Sequence[NodePopulation], exchanged: Exchanged) -> tuple[NodePopulation, NodePopulation]:
    """Sinks and sources as populations, by names that no population of the brain has."""
    taken = {each.name for each in brain}
    names = [name if name not in taken else f"{name}_of_cosim" for name in (SINKS, SOURCES)]
    return _devices(names[0], exchanged.sinks), _devices(names[1], exchanged.sources, is_virtual=True)


def _devices(name: str, series: Sequence[DeviceSeries], is_virtual: bool = False) -> NodePopulation:
    """A node for each; their model where all have the same, else the models of all."""
    models = tuple(each.model for each in series)
    names = tuple(each.name for each in series)
    model, of_nodes = ("", models) if len({*models}) > 1 else ("".join(models[:1]), ())
    return NodePopulation(name, len(series), model, node_names=names, node_models=of_nodes, is_virtual=is_virtual)


def _reports(
    what: str, population: NodePopulation, series: Sequence[DeviceSeries], step_ms: float
) -> dict[str, Report]:
    """A report for each quantity, by names such as ``sink_voltages``.

    Values of sinks are those of the end of their time, those of sources act from its start.
    """
    found: dict[str, Report] = {}
    for quantity, units, members in by_quantity(series):
        # The same quantity may be there in another unit or with other times.
        words = (f"{quantity}s".replace(" ", "_"), members[0].key, members[0].name)
        name = next(name for word in words if (name := f"{what}_{word}") not in found)
        sample_ms = step_ms / members[0].samples
        start_ms = sample_ms if what == "sink" else 0.0
        found[name] = Report(population, members, quantity, units, start_ms, sample_ms)
    return found


# Nodes


def write_nodes(path: Path, nodes: Sequence[NodePopulation]) -> None:
    """``/nodes/<population>``: type, attributes and, where neurons have places, x, y and z in um."""
    with h5py.File(path, "w") as file:
        write_magic(file)
        for type_id, population in enumerate(nodes, FIRST_TYPE_ID):
            group = file.create_group(f"nodes/{population.name}")
            _constant(group, "node_type_id", population.size, "u8", type_id)
            _constant(group, "node_group_id", population.size, "u4", 0)
            group["node_id"] = np.arange(population.size, dtype="u4")
            group["node_group_index"] = group["node_id"]  # one dataset with two names: bmtk asks for both
            _write_attributes(group.create_group("0"), population)


def _write_attributes(group: h5py.Group, population: NodePopulation) -> None:
    for name, value in population.attributes.items():
        _constant(group, name, population.size, h5py.string_dtype(), value)
    if population.node_names:
        group["name"] = np.array(population.node_names, dtype=h5py.string_dtype())
    if population.node_models:
        templates = [f"nest:{model}" for model in population.node_models]
        group["model_template"] = np.array(templates, dtype=h5py.string_dtype())
    if isinstance(population.layout, (Grid, Scattered)):
        axes = [group.create_dataset(axis, (population.size,), "f4") for axis in "xyz"]
        for start, places_um in _places_um(population.layout):
            for axis, values in zip(axes, places_um.T, strict=False):  # of two dimensions z stays 0
                axis[start : start + len(values)] = values


def _constant(group: h5py.Group, name: str, size: int, dtype: Any, value: int | str) -> None:
    """A dataset that holds one value everywhere and takes no space."""
    group.create_dataset(name, (size,), dtype, fillvalue=value)


def _places_um(layout: Grid | Scattered) -> Iterator[tuple[int, np.ndarray]]:
    """First node and places (nodes, dimensions) in um of blocks of nodes: large grids need little memory."""
    for start in range(0, layout.size, BLOCK_NODES):
        stop = min(start + BLOCK_NODES, layout.size)
        if isinstance(layout, Grid):
            places = np.unravel_index(np.arange(start, stop), [axis.count for axis in layout.axes])
            columns = [axis.planes_mm[place] for axis, place in zip(layout.axes, places, strict=True)]
            yield start, UM_PER_MM * np.stack(columns, axis=1)
        else:
            yield start, UM_PER_MM * layout.positions_mm[start:stop]


def write_node_types(path: Path, nodes: Sequence[NodePopulation]) -> None:
    """One row for each population, separated by blanks as SONATA asks for; NULL is for what is not known."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=" ")
        writer.writerow(["node_type_id", "pop_name", *ATTRIBUTES])
        for type_id, population in enumerate(nodes, FIRST_TYPE_ID):
            values = (population.attributes.get(name, "NULL") for name in ATTRIBUTES)
            writer.writerow([type_id, population.name, *values])


# Configurations


def _node_sets(nodes: Sequence[NodePopulation]) -> dict[str, Any]:
    """Every population and every region by its name."""
    regions = {each.region: {"region": each.region} for each in nodes if each.region}
    return regions | {each.name: {"population": each.name} for each in nodes}


def _circuit(nodes: Sequence[NodePopulation]) -> dict[str, Any]:
    kinds = {each.name: {"type": "virtual" if each.is_virtual else "point_neuron"} for each in nodes}
    files = {"nodes_file": "$BASE_DIR/nodes.h5", "node_types_file": "$BASE_DIR/node_types.csv"}
    return {
        "version": 2,
        "manifest": {"$BASE_DIR": "."},
        "node_sets_file": "$BASE_DIR/node_sets.json",
        "networks": {"nodes": [{**files, "populations": kinds}], "edges": []},
    }


def _simulation(run: dict[str, Any], reports: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": 2,
        "manifest": {"$BASE_DIR": "."},
        "network": "$BASE_DIR/circuit_config.json",
        "node_sets_file": "$BASE_DIR/node_sets.json",
        "run": run,
        "output": {"output_dir": "$BASE_DIR", "spikes_file": "spikes.h5", "spikes_sort_order": "by_time"},
        "reports": reports,
    }


def _report_entry(file: str, report: Report) -> dict[str, Any]:
    return {
        "type": "compartment",
        "sections": "soma" if max(report.nodes.values()) == 1 else "all",
        "variable_name": {"voltage": "v"}.get(report.quantity, re.sub(r"\W+", "_", report.quantity)),
        "unit": report.units,
        "cells": report.population.name,
        "file_name": file,
        "start_time": report.start_ms,
        "end_time": report.end_ms,
        "dt": report.step_ms,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
