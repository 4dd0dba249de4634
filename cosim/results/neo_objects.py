# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as objects of Neo, the data model that Elephant and others work on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import neo
import numpy as np
import quantities as pq

from cosim.devices.series import DeviceSeries, by_quantity
from cosim.engines.built import BuiltPopulation
from cosim.record.folder import RunFolder
from cosim.results.recorded_nodes import recorded_nodes
from cosim.results.spikes import Spikes


class ReadableRun(Protocol):
    """What is taken of a run: attributes of `cosim.results.run_data.RunData`, which says what they are."""

    folder: RunFolder

    @property
    def config(self) -> Mapping[str, Any]: ...

    @property
    def populations(self) -> Mapping[str, BuiltPopulation]: ...

    @property
    def spikes(self) -> Mapping[str, Spikes]: ...

    @property
    def sinks(self) -> Mapping[str, DeviceSeries]: ...

    @property
    def sources(self) -> Mapping[str, DeviceSeries]: ...

    @property
    def returned_columns(self) -> Mapping[str, np.ndarray]: ...

    @property
    def body(self) -> Mapping[str, np.ndarray]: ...

    @property
    def simulated_ms(self) -> float: ...

    def columns(self, series: str) -> list[str]: ...

    def quantity(self, series: str) -> tuple[str, str]: ...


def of_population(run: ReadableRun, name: str) -> list[neo.SpikeTrain]:
    """See `RunData.spiketrains`."""
    spikes, population = run.spikes[name], run.populations[name]
    nodes = recorded_nodes(population, spikes.node_ids)
    t_stop = run.simulated_ms * pq.ms
    return [
        neo.SpikeTrain(
            times_ms,
            units="ms",
            t_stop=t_stop,
            name=f"{name} {node}",
            **_annotations(population),
            node_id=int(node),
        )
        for node, times_ms in zip(nodes, by_node(spikes, nodes), strict=True)
    ]


def by_node(spikes: Spikes, nodes: np.ndarray) -> Iterator[np.ndarray]:
    """Times in ms of each of some nodes, whose ids ascend."""
    order = np.argsort(spikes.node_ids, kind="stable")
    times_ms, ids = spikes.timestamps_ms[order], spikes.node_ids[order]
    starts, stops = (np.searchsorted(ids, nodes, side) for side in ("left", "right"))
    return (times_ms[start:stop] for start, stop in zip(starts, stops, strict=True))


def _annotations(population: BuiltPopulation) -> dict[str, str]:
    """What Neo keeps beside a train; what is not known is left out."""
    known = {name: getattr(population, name) for name in ("region", "layer", "cell_type", "neuron_model")}
    return {"population": population.name, **{name: value for name, value in known.items() if value}}


def block(run: ReadableRun) -> neo.Block:
    """See `RunData.neo`; one segment, from 0 to the end of the last step."""
    segment = neo.Segment(name="run")
    for name in run.spikes:
        segment.spiketrains.extend(of_population(run, name))
    segment.analogsignals.extend(list(_signals(run)))
    whole = neo.Block(name=run.config.get("title") or run.folder.path.name, seed=run.config["seed"])
    whole.segments.append(segment)
    return whole


def _signals(run: ReadableRun) -> Iterator[neo.AnalogSignal]:
    """Values of sinks are those at the end of a step, of sources those that act from its start."""
    step_ms = run.config["clock"]["coupling_step_ms"]
    for what, devices in (("sink", run.sinks), ("source", run.sources)):
        for quantity, units, series in by_quantity(devices.values()):
            columns = {name: values for each in series for name, values in each.columns.items()}
            values = np.stack(list(columns.values()), axis=1)
            name = f"{what}_{quantity}".replace(" ", "_")
            period_ms = step_ms / series[0].samples
            start_ms = period_ms if what == "sink" else 0.0
            yield _signal(name, values, units, start_ms, period_ms, list(columns))
    if returned := run.returned_columns:
        values = np.stack(list(returned.values()), axis=1)
        yield _signal("transfer", values, "1", step_ms, step_ms, list(returned))
    if run.body:
        step_ms = run.config["clock"]["physics_step_ms"]  # the first row is that of the end of the first step
        for name, values in run.body.items():
            if name != "time_ms":
                yield _signal(name, values, run.quantity(name)[1], step_ms, step_ms, run.columns(name))


def _signal(
    name: str, values: np.ndarray, units: str, start_ms: float, step_ms: float, columns: list[str]
) -> neo.AnalogSignal:
    timing = {"t_start": start_ms * pq.ms, "sampling_period": step_ms * pq.ms}
    # Not every format of Neo keeps array annotations.
    names = {"array_annotations": {"column": columns}, "columns": ", ".join(columns)}
    units = "dimensionless" if units == "1" else units
    return neo.AnalogSignal(values, units=units, name=name, **names, **timing)
