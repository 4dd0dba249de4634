# SPDX-License-Identifier: GPL-2.0-or-later
"""Every kind of source and sink gives what a plain PyNEST script gives, whatever the number of brain ranks.

The script sets the same values and calls ``nest.Simulate`` for each step, which starts every node anew. The kinds are
in ``device_cases``, a file for each; all are in one network, so that one run for each number of ranks is enough.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bluepysnap
import device_cases as cases
import h5py
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pynwb
import pytest
from conftest import PROGRAMS, REPOSITORY, clean_environment, find_mpiexec

from cosim.devices import kinds
from cosim.results import RunData, export
from cosim.show.figure import device_panels

BRAIN_RANKS = (1, 2, 3)
EXPERIMENT = f"""
title = "Every kind of source and sink"
seed = {cases.SEED}
[clock]
coupling_step_ms = {cases.STEP_MS}
resolution_ms = {cases.RESOLUTION_MS}
steps = {cases.STEPS}
[brain]
script = "brain.py"
virtual_processes = {cases.VIRTUAL_PROCESSES}
[record]
spikes = "*"
"""
BRAIN = """
import device_cases
import nest

for name in device_cases.NAMES:
    globals().update(device_cases.load(name).brain(nest))
"""
TRANSFER = """
import device_cases
from cosim import transfer_function

for name in device_cases.NAMES:
    case = device_cases.load(name)
    if hasattr(case, "drive"):
        globals()[name] = transfer_function(case.drive)
"""


def start(*command: object) -> None:
    environment = clean_environment()
    environment["PYTHONPATH"] += f":{REPOSITORY / 'tests'}"
    result = subprocess.run(
        [str(each) for each in command], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("devices") / "experiment"
    folder.mkdir()
    tables = "".join(cases.load(name).DEVICES for name in cases.NAMES)
    for name, text in {"experiment.toml": EXPERIMENT + tables, "brain.py": BRAIN, "transfer.py": TRANSFER}.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def runs(experiment) -> dict[int, RunData]:
    """The experiment, by the number of brain ranks."""
    outs = {ranks: experiment.parent / f"on_{ranks}" for ranks in BRAIN_RANKS}
    for ranks, out in outs.items():
        start(find_mpiexec(), "-n", ranks + 1, sys.executable, "run.py", experiment, "--out", out)
    return {ranks: RunData(out) for ranks, out in outs.items()}


@pytest.fixture(scope="module")
def in_nest(experiment) -> dict[str, np.ndarray]:
    """What NEST alone gave on as many virtual processes, see its program."""
    result = experiment.parent / "in_nest.npz"
    start(sys.executable, PROGRAMS / "devices_in_nest.py", result)
    return dict(np.load(result))


@pytest.mark.parametrize("name", cases.NAMES)
def test_spikes_and_values_are_those_of_nest_alone(runs, in_nest, name):
    run, case = runs[1], cases.load(name)
    expected = {key.removeprefix(f"{name}/"): values for key, values in in_nest.items() if key.startswith(f"{name}/")}
    for key, values in expected.items():
        what, port = key.split("/")
        if port.startswith("_"):
            continue
        found = np.column_stack(run.spikes[port]) if what == "spikes" else run.readout[port].ravel()
        np.testing.assert_array_equal(found, values, err_msg=key)
        assert len(np.unique(values)) > 3, f"{key}: says nothing"
    if hasattr(case, "check"):
        case.check(run, expected)


@pytest.mark.parametrize("ranks", BRAIN_RANKS[1:])
def test_all_is_the_same_on_any_number_of_ranks(runs, ranks):
    """Every byte of the spikes and of what was exchanged."""
    one, several = runs[1].folder, runs[ranks].folder
    assert several.spike_file.read_bytes() == one.spike_file.read_bytes()
    assert several.weights_file.read_bytes() == one.weights_file.read_bytes()
    expected = exchanged(one.run_file)
    assert exchanged(several.run_file) == expected and len(expected) > 2


def exchanged(file: Path) -> dict[str, bytes]:
    """All datasets below ``exchange``."""
    found: dict[str, bytes] = {}

    def take(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(file) as opened:
        opened["exchange"].visititems(take)
    return found


def test_arrays_are_shown_and_exported_with_their_own_times(runs, tmp_path):
    """Samples of 2.5 ms, three neurons: in figures, Neo, NWB, CSV and SONATA."""
    run = runs[1]
    samples, times_ms = run.readout["cells.V_m"].reshape(-1, 3), 2.5 * np.arange(1, 4 * cases.STEPS + 1)
    panels = {(what, quantity): panel for what, quantity, panel in device_panels(run)}
    _, axis = plt.subplots()
    panels["sink", "membrane potential"](axis, run)
    lines = {line.get_label(): line.get_xydata() for line in axis.lines}
    np.testing.assert_allclose(lines["cells.V_m[1]"], np.column_stack([times_ms, samples[:, 1]]))
    (signal,) = (each for each in run.neo().segments[0].analogsignals if "cells.V_m[0]" in each.annotations["columns"])
    np.testing.assert_array_equal(signal.magnitude, samples)
    np.testing.assert_allclose(signal.times.rescale("ms").magnitude, times_ms)
    export.main(str(run.folder.path), "csv", str(tmp_path / "tables"))
    rows = np.loadtxt(tmp_path / "tables/exchange_cells.V_m.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(rows, np.column_stack([times_ms, samples]), rtol=1e-12)
    export.main(str(run.folder.path), "nwb", str(tmp_path / "run.nwb"))
    with pynwb.NWBHDF5IO(str(tmp_path / "run.nwb"), "r") as reader:
        series = reader.read().processing["exchange"]["cells.V_m_membrane_potential"]
        assert (series.starting_time, series.rate) == pytest.approx((0.0025, 400.0))
        np.testing.assert_allclose(series.data[:], samples / 1000)
    (report,) = (each for each in reports(run) if each.shape == samples.shape and np.allclose(each, samples))
    np.testing.assert_allclose(report.index, times_ms)


def reports(run: RunData) -> Iterator[pd.DataFrame]:
    """SONATA's of all sinks."""
    simulation = bluepysnap.Simulation(str(run.folder.path / "simulation_config.json"))
    for name, each in simulation.reports.items():
        if name.startswith("sink"):
            frame = each["spike_sinks"].get()
            yield from (frame[[node]] for node in dict.fromkeys(frame.columns.get_level_values(0)))


def test_a_run_with_all_kinds_goes_on_after_its_end(runs, tmp_path):
    """All that was exchanged is the same when it is run again, also NaN and what has several datasets."""
    run = tmp_path / "run"
    shutil.copytree(runs[2].folder.path, run)
    start(find_mpiexec(), "-n", 2, sys.executable, "run.py", "--resume", run, "--steps", cases.STEPS + 2)
    longer = RunData(run)
    assert longer.summary["resumed_after_steps"] == cases.STEPS
    kept = longer.weights("forth")
    np.testing.assert_array_equal(kept.weights[: cases.STEPS // 2 + 1], runs[1].weights("forth").weights)
    assert len(kept.time_ms) == cases.STEPS // 2 + 2


@pytest.mark.parametrize("section", ["sources", "sinks"])
def test_every_kind_has_a_case(section):
    assert {*kinds.kinds(section)} <= {*cases.NAMES}
