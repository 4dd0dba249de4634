# SPDX-License-Identifier: GPL-2.0-or-later
"""What lies beside ``spikes.h5``: libsonata, bluepysnap and bmtk open it and find what the tables say."""

from __future__ import annotations

import csv
from pathlib import Path

import bluepysnap
import h5py
import libsonata
import numpy as np
import pytest
from bmtk.utils.reports import CompartmentReport
from bmtk.utils.sonata import File

from cosim.devices.series import DeviceSeries
from cosim.engines.built import BuiltPopulation
from cosim.network.layout import Axis, Grid, Scattered, Unplaced
from cosim.network.network import Network
from cosim.network.network import Population as Table
from cosim.record import circuit, populations
from cosim.record.sonata import SpikeFileWriter

STEPS, STEP_MS = 5, 20.0
GRID = Grid((Axis(2, -0.1, 0.1), Axis(3, 0.0, 0.2), Axis(4, -0.5, 0.5)), (1.0, 1.0, 2.0), wrapped=False)
SCATTERED = Scattered(7, 0.0, 0.3, seed=5)
NETWORK = Network(
    (
        Table("E", "M1", "iaf_cond_alpha", {}, GRID, layer="L5", cell_type="PT"),
        Table("flat", "BG", "iaf_psc_alpha", {}, SCATTERED, cell_type="GPe"),
        Table("relay", "BG", "parrot_neuron", {}, Unplaced(3)),
    )
)
BUILT = [
    BuiltPopulation("E", "M1", 1, 24, 24, False, "L5", "PT", "iaf_cond_alpha"),
    BuiltPopulation("flat", "BG", 25, 7, 7, False, "", "GPe", "iaf_psc_alpha"),
    BuiltPopulation("relay", "BG", 32, 3, 0, True, "", "", "parrot_neuron"),
]
VOLTAGES_MV = {"E": np.arange(5.0), "flat": -np.arange(5.0)}
RATES_HZ = {"input": np.array([0.0, 0.0, 50.0, 50.0, 0.0])}
SPIKES = np.array([1.0, 20.0, 20.0, 99.9]), np.array([0, 3, 23, 3], "u8")


def series(group: str, values: dict[str, np.ndarray]) -> list[DeviceSeries]:
    return [DeviceSeries.of(group, name, each, {}) for name, each in values.items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sonata")
    writer = SpikeFileWriter(path / "spikes.h5", {"E": 4, "flat": 0})
    writer.append(0, *SPIKES)
    writer.close()
    exchanged = circuit.Exchanged(series("readout", VOLTAGES_MV), series("stimulus", RATES_HZ), STEP_MS, STEPS)
    circuit.write_circuit(path, circuit.of_brain(BUILT, NETWORK), exchanged, seed=3, resolution_ms=0.1)
    return path


@pytest.fixture(scope="module")
def simulation(folder) -> bluepysnap.Simulation:
    return bluepysnap.Simulation(str(folder / "simulation_config.json"))


def test_libsonata_finds_all_populations_with_their_sizes(folder):
    config = libsonata.CircuitConfig.from_file(str(folder / "circuit_config.json"))
    sizes = {name: config.node_population(name).size for name in config.node_populations}
    assert sizes == {"E": 24, "flat": 7, "relay": 3, "spike_sinks": 2, "spike_sources": 1}


def test_bluepysnap_finds_names_regions_layers_and_cell_types(simulation):
    cells = simulation.circuit.nodes["E"].get()
    assert len(cells) == 24
    for name, value in (
        ("region", "M1"),
        ("layer", "L5"),
        ("cell_type", "PT"),
        ("model_type", "point_neuron"),
    ):
        assert (cells[name] == value).all()
    assert (cells["model_template"] == "nest:iaf_cond_alpha").all()
    assert "layer" not in simulation.circuit.nodes["flat"].property_names  # nobody said which
    assert len(simulation.circuit.nodes.ids({"region": "BG"}).index) == 10
    assert len(simulation.circuit.nodes.ids("M1").index) == 24  # a node set
    assert list(simulation.circuit.nodes["spike_sinks"].get()["name"]) == ["E", "flat"]
    assert simulation.circuit.nodes["relay"].type == "virtual"


@pytest.mark.parametrize("block", [5, 2**20])
def test_positions_are_those_of_the_tables_in_um(tmp_path, monkeypatch, block):
    monkeypatch.setattr(circuit, "BLOCK_NODES", block)
    circuit.write_nodes(tmp_path / "nodes.h5", circuit.of_brain(BUILT, NETWORK))
    nodes = libsonata.NodeStorage(str(tmp_path / "nodes.h5"))
    cells = nodes.open_population("E")
    places_um = np.stack([cells.get_attribute(axis, cells.select_all()) for axis in "xyz"], axis=1)
    np.testing.assert_allclose(places_um, 1000 * GRID.positions_mm, rtol=1e-6)
    flat = nodes.open_population("flat")
    places_um = np.stack([flat.get_attribute(axis, flat.select_all()) for axis in "xyz"], axis=1)
    np.testing.assert_allclose(places_um[:, :2], 1000 * SCATTERED.positions_mm, rtol=1e-6)
    assert (places_um[:, 2] == 0).all()
    assert "x" not in nodes.open_population("relay").attribute_names


def test_bmtk_opens_nodes_with_their_types(folder):
    nodes = File(str(folder / "nodes.h5"), str(folder / "node_types.csv")).nodes
    cells = nodes["E"].to_dataframe()
    assert len(cells) == 24 and (cells["pop_name"] == "E").all()
    np.testing.assert_allclose(cells[["x", "y", "z"]], 1000 * GRID.positions_mm, rtol=1e-6)


def test_node_types_hold_one_row_for_each_population(folder):
    with (folder / "node_types.csv").open() as file:
        rows = {row["pop_name"]: row for row in csv.DictReader(file, delimiter=" ")}
    assert list(rows) == ["E", "flat", "relay", "spike_sinks", "spike_sources"]
    assert (rows["E"]["layer"], rows["flat"]["layer"], rows["flat"]["region"]) == ("L5", "NULL", "BG")
    with h5py.File(folder / "nodes.h5") as file:
        assert set(file["nodes/flat/node_type_id"][:]) == {int(rows["flat"]["node_type_id"])}


def test_spikes_belong_to_the_populations(simulation):
    spikes = simulation.spikes["E"].get()
    assert list(spikes.index) == [1.0, 20.0, 20.0, 99.9] and list(spikes) == [0, 3, 23, 3]
    assert simulation.spikes["flat"].get().empty
    assert (simulation.time_stop, simulation.dt, simulation.run.random_seed) == (100.0, 0.1, 3)


def test_voltages_are_a_report_at_the_ends_of_steps(folder, simulation):
    report = simulation.reports["sink_voltages"]
    frames = report["spike_sinks"].get()
    assert list(frames.index) == [20.0, 40.0, 60.0, 80.0, 100.0] and report.data_units == "mV"
    np.testing.assert_array_equal(frames.to_numpy().T, list(VOLTAGES_MV.values()))
    reader = libsonata.ElementReportReader(str(folder / "sink_voltages.h5"))["spike_sinks"]
    assert reader.time_units == "ms" and reader.get([1]).data[:, 0].tolist() == [0, -1, -2, -3, -4]
    of_bmtk = CompartmentReport(str(folder / "sink_voltages.h5"), mode="r")
    assert of_bmtk.units() == "mV" and of_bmtk.data(node_id=1).ravel().tolist() == [0, -1, -2, -3, -4]
    with h5py.File(folder / "sink_voltages.h5") as file:
        assert file["report/spike_sinks/mapping/index_pointers"][:].tolist() == [0, 1, 2]


def test_rates_are_a_report_at_the_starts_of_steps(simulation):
    report = simulation.reports["source_rates"]
    frames = report["spike_sources"].get()
    assert report.data_units == "Hz" and dict(frames[0])[40.0] == 50.0 and dict(frames[0])[80.0] == 0.0


def test_of_a_script_names_and_counts_are_there(tmp_path):
    nodes = circuit.of_brain([BuiltPopulation("cells", "script", 1, 12, 12)], None)
    exchanged = circuit.Exchanged([], [], STEP_MS, 0)
    circuit.write_circuit(tmp_path, nodes, exchanged, seed=1, resolution_ms=0.1)
    cells = bluepysnap.Circuit(str(tmp_path / "circuit_config.json")).nodes["cells"]
    assert cells.size == 12 and cells.property_names == {"model_type"}
    assert not (tmp_path / "sink_voltages.h5").exists()


def test_a_population_called_like_the_sinks_keeps_its_name(tmp_path):
    nodes = circuit.of_brain([BuiltPopulation("spike_sinks", "script", 1, 12, 12)], None)
    circuit.write_circuit(
        tmp_path, nodes, circuit.Exchanged(series("readout", VOLTAGES_MV), [], STEP_MS, STEPS), 1, 0.1
    )
    sizes = libsonata.NodeStorage(str(tmp_path / "nodes.h5")).population_names
    assert sizes == {"spike_sinks", "spike_sinks_of_cosim"}


def test_what_is_the_same_for_all_neurons_takes_no_space(tmp_path):
    for size, name in ((1_000_000, "large.h5"), (1000, "small.h5")):
        circuit.write_nodes(tmp_path / name, [circuit.NodePopulation("E", size, "m", "M1", "L5", "PT")])
    more = (tmp_path / "large.h5").stat().st_size - (tmp_path / "small.h5").stat().st_size
    assert more == 4 * 999_000  # the ids


def test_populations_come_back_as_they_were_written(tmp_path):
    populations.write(tmp_path / "populations.json", BUILT)
    assert populations.read(tmp_path / "populations.json") == BUILT


def test_a_spike_file_holds_little_but_spikes(tmp_path):
    sizes = {}
    for spikes in (10, 1_000_010):
        writer = SpikeFileWriter(tmp_path / f"{spikes}.h5", {"E": spikes, "silent": 0})
        writer.append(0, np.zeros(spikes), np.zeros(spikes, "u8"))
        writer.close()
        sizes[spikes] = (tmp_path / f"{spikes}.h5").stat().st_size
    assert sizes[10] < 20_000
    assert sizes[1_000_010] - sizes[10] == pytest.approx(16_000_000, abs=5000)
