# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim export``: what other programs read is what the run holds."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import bluepysnap
import h5py
import neo
import numpy as np
import pynwb
import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec
from killed_run import make_experiment, make_run

import cosim.results
from cosim import cli
from cosim.errors import ConfigurationError
from cosim.results import export

RUNS = {
    "arm": (
        "mouse_m1",
        "--set",
        "brain.patch_mm=0.1",
        "--set",
        "protocol.stimulus_onset_ms=20",
        "--steps",
        "12",
    ),
    "vehicle": ("braitenberg", "--steps", "12"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, cosim.results.RunData]:
    """A mouse forelimb with a brain from tables, and a vehicle with a script for a brain."""
    out = tmp_path_factory.mktemp("export")
    for name, arguments in RUNS.items():
        command = [find_mpiexec(), "-n", "2", sys.executable, "run.py", *arguments, "--out", str(out / name)]
        environment = clean_environment()
        subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, timeout=120, capture_output=True)
    return {name: cosim.results.load(out / name) for name in RUNS}


@pytest.fixture(params=RUNS)
def run(request, runs) -> cosim.results.RunData:
    return runs[request.param]


def exported(run: cosim.results.RunData, format_: str, target: Path) -> Path:
    assert export.main(str(run.folder.path), format_, str(target)) == 0
    return target


def test_nwb_is_valid_and_holds_all_neurons_and_series(run, tmp_path):
    target = exported(run, "nwb", tmp_path / "run.nwb")
    assert not pynwb.validate(path=target)
    with pynwb.NWBHDF5IO(str(target), "r") as reader:
        file = reader.read()
        units = file.units.to_dataframe()
        assert len(units) == sum(each.recorded for each in run.populations.values())
        for name, spikes in run.spikes.items():
            own = units[units["population"] == name]
            assert own["node_id"].tolist() == list(range(run.populations[name].size))
            times_s = np.concatenate([np.asarray(each) for each in own["spike_times"]])
            np.testing.assert_allclose(np.sort(times_s), spikes.timestamps_ms / 1000)
        voltages = file.processing["exchange"]
        for name, voltages_mv in run.readout.items():
            np.testing.assert_allclose(voltages[f"{name}_voltage"].data[:], voltages_mv / 1000)
        assert file.session_start_time.isoformat()[:19] == run.provenance["started"][:19]


def test_nwb_says_where_neurons_are_and_how_the_arm_moved(runs, tmp_path):
    run = runs["arm"]
    with pynwb.NWBHDF5IO(str(exported(run, "nwb", tmp_path / "run.nwb")), "r") as reader:
        file = reader.read()
        units = file.units.to_dataframe()
        cells = units[units["population"] == "M1_L5B_PT"]
        assert set(cells["region"]) == {"M1"} and set(cells["layer"]) == {"L5B"} and set(cells["cell_type"]) == {"PT"}
        body = file.processing["behavior"]
        angle = body["joint_angle_rad"]
        np.testing.assert_array_equal(angle.data[:], run.body["joint_angle_rad"])
        assert (angle.rate, angle.starting_time, angle.unit) == (1000.0, 0.001, "rad")
        assert "humerus_radius" in angle.description
        np.testing.assert_array_equal(body["tip_position"]["tip_position_m"].data[:], run.body["tip_position_m"])


def test_neo_reads_the_block_back(run, tmp_path):
    target = exported(run, "neo", tmp_path / "run.mat")
    stored, mine = neo.io.NeoMatlabIO(str(target)).read_block().segments[0], run.neo().segments[0]
    assert len(stored.spiketrains) == len(mine.spiketrains) > 0
    for theirs, own in zip(stored.spiketrains, mine.spiketrains, strict=True):
        np.testing.assert_array_equal(theirs.magnitude, own.magnitude)
        assert theirs.annotations == own.annotations and theirs.t_stop == own.t_stop
    for theirs, own in zip(stored.analogsignals, mine.analogsignals, strict=True):
        np.testing.assert_array_equal(theirs.magnitude, own.magnitude)
        assert (theirs.name, theirs.units, theirs.t_start) == (own.name, own.units, own.t_start)
        assert theirs.annotations["columns"] == own.annotations["columns"]


def test_nix_holds_the_block_too(runs, tmp_path):
    target = exported(runs["vehicle"], "neo", tmp_path / "run.nix")
    with neo.io.NixIO(str(target), "ro") as file:
        stored = file.read_block().segments[0]
    mine = runs["vehicle"].neo().segments[0]
    for theirs, own in zip(stored.spiketrains, mine.spiketrains, strict=True):
        np.testing.assert_array_equal(theirs.magnitude, own.magnitude)
    assert len(stored.analogsignals) == len(mine.analogsignals)


def test_the_sonata_files_of_a_run_open_with_the_right_counts(run):
    """Nothing has to be exported: they lie beside ``spikes.h5``."""
    simulation = bluepysnap.Simulation(str(run.folder.path / "simulation_config.json"))
    nodes = simulation.circuit.nodes
    for name, population in run.populations.items():
        assert nodes[name].size == population.size
        assert len(simulation.spikes[name].get()) == run.spike_counts[name]
    frames = simulation.reports["sink_voltages"]["spike_sinks"].get()
    np.testing.assert_allclose(frames.to_numpy(), np.stack(list(run.readout.values()), axis=1), rtol=1e-6)
    np.testing.assert_allclose(frames.index, run.exchange_time_ms)
    assert list(nodes["spike_sources"].get()["name"]) == list(run.stimulus)


def test_neurons_of_a_run_from_tables_have_places(runs):
    circuit = bluepysnap.Circuit(str(runs["arm"].folder.path / "circuit_config.json"))
    places_um = circuit.nodes["M1_L5B_PT"].positions()
    assert len(places_um) == runs["arm"].populations["M1_L5B_PT"].size
    assert places_um[["x", "y"]].abs().max().max() == pytest.approx(50.0)  # half of 0.1 mm
    assert (circuit.nodes["M1_L5B_PT"].get(properties="layer") == "L5B").all()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_series_of_the_body_say_what_they_are_and_older_ones_by_their_names(runs, tmp_path):
    copy = Path(shutil.copy(runs["vehicle"].folder.run_file, tmp_path))
    with h5py.File(copy, "a") as file:
        known = file["body/wheel_speed_rad_s"].attrs
        assert (known["quantity"], known["units"]) == ("wheel speed", "rad/s")
        assert file["body/light_intensity"].attrs["units"] == "1"
        known["units"] = "1/min"
        del file["body/position_m"].attrs["quantity"], file["body/position_m"].attrs["units"]
    run = cosim.results.load(tmp_path)
    assert run.quantity("wheel_speed_rad_s") == ("wheel speed", "1/min")
    assert run.quantity("position_m") == ("position", "m")


def test_csv_has_a_file_for_each_table(run, tmp_path):
    folder = exported(run, "csv", tmp_path / "tables")
    files = {path.name for path in folder.iterdir()}
    assert files == {"spikes.csv", "body.csv", "exchange.csv", "populations.csv", "summary.csv"}
    spikes = rows(folder / "spikes.csv")
    assert len(spikes) == sum(run.spike_counts.values())
    for name, expected in run.spikes.items():
        own = [row for row in spikes if row["population"] == name]
        assert [float(row["time_ms"]) for row in own] == expected.timestamps_ms.tolist()
        assert [int(row["node_id"]) for row in own] == expected.node_ids.tolist()
    body = rows(folder / "body.csv")
    for series in run.body.keys() - {"time_ms"}:
        for column, values in zip(run.columns(series), run.body[series].T, strict=True):
            assert [float(row[f"{series}.{column}"]) for row in body] == values.tolist()
    exchange = rows(folder / "exchange.csv")
    assert [float(row["time_ms"]) for row in exchange] == run.exchange_time_ms.tolist()
    for name, voltages_mv in run.readout.items():
        assert [float(row[f"{name}.voltage_mv"]) for row in exchange] == voltages_mv.tolist()
    summary = {row["key"]: row["value"] for row in rows(folder / "summary.csv")}
    assert summary["steps"] == "12" and float(summary["wall_s.loop"]) == run.summary["wall_s"]["loop"]


@pytest.fixture
def without_a_step(tmp_path, recover) -> cosim.results.RunData:
    """A run with a body, sinks and sources that was killed before its first step was done."""
    folder = make_run(tmp_path / "run", make_experiment(tmp_path / "experiment"), steps=0)
    assert recover(folder.path) == 0
    return cosim.results.load(folder.path)


@pytest.mark.parametrize(("ending", "reader"), [("mat", neo.io.NeoMatlabIO), ("nix", neo.io.NixIO)])
def test_neo_of_a_run_without_a_step_is_empty(without_a_step, tmp_path, ending, reader):
    io = reader(str(exported(without_a_step, "neo", tmp_path / f"run.{ending}")))
    stored = io.read_block().segments[0]
    assert [len(train) for train in stored.spiketrains] == [0] * 4
    starts_ms = {(each.name, len(each)): float(each.t_start.rescale("ms")) for each in stored.analogsignals}
    assert starts_ms == {("sink_voltage", 0): 5.0, ("source_rate", 0): 0.0, ("angle_rad", 0): 1.0}
    assert stored.analogsignals[-1].annotations["columns"] == "hip, knee"


def test_nwb_and_csv_of_a_run_without_a_step_are_empty(without_a_step, tmp_path):
    target = exported(without_a_step, "nwb", tmp_path / "run.nwb")
    assert not pynwb.validate(path=target)
    with pynwb.NWBHDF5IO(str(target), "r") as reader:
        file = reader.read()
        assert [len(times) for times in file.units.to_dataframe()["spike_times"]] == [0] * 4
        assert file.processing["exchange"]["E_voltage"].data.shape == (0,)
        assert file.processing["behavior"]["angle_rad"].data.shape == (0, 2)
    folder = exported(without_a_step, "csv", tmp_path / "tables")
    headers = {path.stem: path.read_text() for path in folder.iterdir() if path.stem not in ("populations", "summary")}
    assert headers == {
        "spikes": "population,node_id,time_ms\n",
        "exchange": "time_ms,E.voltage_mv,drive.rate_hz\n",
        "body": "time_ms,angle_rad.hip,angle_rad.knee\n",
    }


def test_every_name_that_a_population_may_have_goes_through_all_files(tmp_path, recover):
    """Figure, page, SONATA, NWB, Neo and CSV; voltages are called like the population."""
    name = "L2_3E-PT.1+Z\u00e4hler"
    folder = make_run(tmp_path / "run", make_experiment(tmp_path / "experiment", name))
    assert recover(folder.path) == 0, "figure.png and SONATA's files"
    run = cosim.results.load(folder.path)
    assert run.spikes[name].timestamps_ms.tolist() == [5.0, 10.0, 15.0] and run.readout[name].tolist() == [1.0] * 3
    simulation = bluepysnap.Simulation(str(folder.path / "simulation_config.json"))
    assert simulation.spikes[name].get().index.tolist() == [5.0, 10.0, 15.0]
    assert cli.main(["report", str(folder.path)]) == 0 and name in (folder.path / "report.html").read_text()
    with pynwb.NWBHDF5IO(str(exported(run, "nwb", tmp_path / "run.nwb")), "r") as reader:
        assert f"{name}_voltage" in reader.read().processing["exchange"].data_interfaces
    trains = neo.io.NeoMatlabIO(str(exported(run, "neo", tmp_path / "run.mat"))).read_block().segments[0].spiketrains
    assert trains[1].name == f"{name} 1" and trains[1].magnitude.tolist() == [5.0, 10.0, 15.0]
    exported(run, "neo", tmp_path / "run.nix")
    assert rows(exported(run, "csv", tmp_path / "tables") / "spikes.csv")[0]["population"] == name
    assert json.loads((folder.path / "summary.json").read_text())["mean_rate_hz"][name] > 0
    assert cli.main(["watch", str(folder.path), "--once"]) == 0


def test_the_target_has_a_name_of_its_own_in_the_folder_of_the_run(runs):
    folder = runs["vehicle"].folder.path
    command = [sys.executable, "-m", "cosim.cli", "export", str(folder), "--format", "nwb"]
    result = subprocess.run(
        command, cwd=REPOSITORY, env=clean_environment(), capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{folder / 'run.nwb'}\n", "")
    assert not list(folder.glob("*unfinished*"))


def refused(run: cosim.results.RunData, format_: str, out: Path | None) -> str:
    with pytest.raises(ConfigurationError) as error:
        export.main(str(run.folder.path), format_, str(out) if out else None)
    return str(error.value)


def test_mistakes_are_told(runs, tmp_path, monkeypatch):
    run = runs["vehicle"]
    (tmp_path / "there.nwb").write_text("precious")
    assert refused(run, "xls", None) == "--format xls: must be one of nwb, neo, csv"
    assert "there.nwb: already there" in refused(run, "nwb", tmp_path / "there.nwb")
    assert "must end in .mat or .nix" in refused(run, "neo", tmp_path / "run.pkl")
    assert f"there is no folder {tmp_path / 'no'}" in refused(run, "csv", tmp_path / "no/tables")
    assert (tmp_path / "there.nwb").read_text() == "precious"
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    assert refused(run, "nwb", tmp_path / "a.nwb") == "--format nwb: needs pynwb: pip install 'cosim[nwb]'"
    assert "pip install 'cosim[analysis]'" in refused(run, "neo", tmp_path / "a.mat")
    exported(run, "csv", tmp_path / "tables")  # needs nothing


def test_a_run_that_has_not_ended_is_refused(runs, tmp_path):
    with h5py.File(tmp_path / "run.h5", "w"):
        pass
    with pytest.raises(
        ConfigurationError, match=r"no summary\.json: must be the results folder of a run that has ended"
    ):
        export.main(str(tmp_path), "csv")


def test_a_failure_leaves_nothing_behind(runs, tmp_path, monkeypatch):
    def fail(_run, path):
        path.mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cosim.results.export.csv.write", fail)
    assert "cannot be written: No space left on device" in refused(runs["vehicle"], "csv", tmp_path / "tables")
    assert list(tmp_path.iterdir()) == []
