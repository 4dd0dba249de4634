# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim report``: what a run did, recomputed by hand from its files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec

from cosim.errors import ConfigurationError
from cosim.experiment.config import load
from cosim.show.report import report
from models.rodent.network import network

pytestmark = pytest.mark.usefixtures("with_figures")

STEPS, PATCH_MM = 30, 0.15  # of 20 ms
SETTINGS = (
    "--set",
    f"brain.patch_mm={PATCH_MM}",
    "--set",
    "protocol.stimulus_onset_ms=200",
    "--steps",
    str(STEPS),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run of 600 ms on one brain rank."""
    out = tmp_path_factory.mktemp("report") / "run"
    command = [find_mpiexec(), "-n", "2", sys.executable, "run.py", "mouse_m1", "--out", str(out), *SETTINGS]
    subprocess.run(command, cwd=REPOSITORY, env=clean_environment(), check=True, timeout=120, capture_output=True)
    return out


def cosim(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "cosim.cli", *map(str, arguments)]
    environment = clean_environment(COLUMNS="180")
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60)


def times_ms(folder: Path, population: str) -> np.ndarray:
    with h5py.File(folder / "spikes.h5") as file:
        return file[f"spikes/{population}/timestamps"][:]


def test_rates_are_those_of_the_spike_file(folder):
    populations = report(folder)["populations"]
    sizes = network(patch_mm=PATCH_MM).sizes
    assert populations.keys() == sizes.keys()
    assert sum(each["spikes"] for each in populations.values()) > 100
    for name, population in populations.items():
        times = times_ms(folder, name)
        assert population["spikes"] == len(times)
        assert population["mean_rate_hz"] == pytest.approx(len(times) / sizes[name] / 0.6)
        late = np.count_nonzero(times > 100.0)
        assert population["window_rate_hz"] == pytest.approx(late / sizes[name] / 0.5)


def test_the_window_can_be_chosen(folder):
    result = report(folder, start_ms=200.0, end_ms=400.0)
    name, size = "M1_L1_ENGC", network(patch_mm=PATCH_MM).sizes["M1_L1_ENGC"]
    times = times_ms(folder, name)
    within = np.count_nonzero((times > 200) & (times <= 400))
    assert within > 10  # it is what the stimulus drives
    assert result["populations"][name]["window_rate_hz"] == pytest.approx(within / size / 0.2)
    assert list(result["window_ms"]) == [200.0, 400.0]


def test_the_run_is_told(folder):
    result = report(folder)
    assert (result["experiment"], result["seed"], result["steps"], result["complete"]) == (
        "mouse_m1",
        load("mouse_m1").config.seed,
        STEPS,
        True,
    )
    assert result["brain"]["regions"] == ["M1"] and result["brain"]["patch_mm"] == PATCH_MM
    assert (result["brain_ranks"], result["threads_per_brain_rank"]) == (1, 4)
    assert result["body"]["model"] == "forelimb"
    assert result["built"]["regions"]["M1"]["neurons"] == sum(network(patch_mm=PATCH_MM).sizes.values())
    assert len(result["peak_memory_mb"]) == 2


def test_the_terminal_shows_the_numbers(folder):
    shown = cosim("report", folder)
    assert (shown.returncode, shown.stderr) == (0, "")
    result = report(folder)
    row = next(line for line in shown.stdout.splitlines() if line.startswith("M1_L1_ENGC"))
    rates = result["populations"]["M1_L1_ENGC"]
    assert f"{rates['mean_rate_hz']:.3f}" in row and f"{rates['window_rate_hz']:.3f}" in row
    for words in (
        "Motor cortex drives",
        "as_run",
        "1 x 4",
        "Hz 100-600 ms",
        f"{rates['cv_of_intervals']:.2f}",
        f"{rates['fano_factor']:.2f}",
        "computed by Elephant",
        f"{result['real_time_factor']:.3g}",
        "connect",
    ):
        assert words in shown.stdout


def test_the_page_shows_the_arm(folder, tmp_path):
    assert cosim("report", folder, "--html", tmp_path / "page.html").returncode == 0
    page = (tmp_path / "page.html").read_text()
    for title in (
        "Muscle activation",
        "Joint angle (rad)",
        "Path of the tip",
        "Movement of the tip",
        "The body",
    ):
        assert f"<h2>{title}</h2>" in page


def test_runs_stand_side_by_side_and_as_json(folder):
    shown = cosim("report", folder, folder)
    row = next(line for line in shown.stdout.splitlines() if line.startswith("M1_L1_ENGC"))
    cells = row.split()[1:]
    assert cells[:7] == cells[7:]
    runs = json.loads(cosim("report", folder, folder, "--json", "--to", 400).stdout)["runs"]
    assert len(runs) == 2 and runs[0] == runs[1]
    assert runs[0]["window_ms"] == [0.0, 400.0]


def test_mistakes_are_told_without_a_traceback(folder, tmp_path):
    for arguments, words in (
        ([tmp_path], "no summary.json"),
        ([folder, "--from", 600], "must lie within 0 to 600 ms"),
        ([folder, "--to", 700], "must lie within 0 to 600 ms"),
    ):
        result = cosim("report", *arguments)
        assert result.returncode == 2 and words in result.stderr and "Traceback" not in result.stderr


def test_a_folder_without_a_finished_run_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="no summary.json"):
        report(tmp_path)
