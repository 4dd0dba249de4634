# SPDX-License-Identifier: GPL-2.0-or-later
"""The experiment of a few neurons that steer Husky towards a light, run as users run it."""

from __future__ import annotations

import json
import shutil

import pytest
from conftest import REPOSITORY

from cosim.results.run_data import RunData

pytestmark = pytest.mark.usefixtures("with_figures")

EXPERIMENT = REPOSITORY / "models/braitenberg"


@pytest.fixture
def run(launch, tmp_path):
    """Run the experiment in a folder of that name and return its data and its summary."""

    def start(folder, name: str, *settings: str) -> tuple[RunData, dict]:
        options = [part for setting in settings for part in ("--set", setting)]
        result = launch(2, "run.py", folder, "--out", tmp_path / name, *options)
        assert result.returncode == 0, result.stderr
        data = RunData(tmp_path / name)
        return data, json.loads(data.folder.summary_file.read_text())

    return start


@pytest.mark.wheel
def test_it_finds_the_light_on_either_side(run):
    for side, name in ((1, "left"), (-1, "right")):
        data, summary = run(EXPERIMENT, name, f"protocol.light_m=[2.5,{side * 2.5},0.8]")
        assert summary["distance_at_start_m"] > 5.0
        assert summary["distance_at_end_m"] < 1.0
        assert summary["arrived_after_s"] < 12.0
        early = data.body["time_ms"] < 3000.0
        assert side * data.body["heading_rad"][early][-1, 0] > 0.1  # it turns towards the light at once
        made = {path.name for path in data.folder.path.iterdir()}
        assert {"figure.png", "body.png"} <= made


@pytest.mark.wheel
def test_it_does_not_find_the_light_without_the_crossed_connections(run, tmp_path):
    folder = shutil.copytree(EXPERIMENT, tmp_path / "cut")
    brain = (folder / "brain.py").read_text()
    assert '"weight": 20.0' in brain
    (folder / "brain.py").write_text(brain.replace('"weight": 20.0', '"weight": 0.0'))
    data, summary = run(folder, "out")
    assert summary["arrived_after_s"] is None
    assert summary["distance_at_end_m"] > 2.0
    assert abs(data.body["heading_rad"][-1, 0]) < 0.2
    assert data.body["position_m"][-1, 0] > data.body["position_m"][0, 0] + 1.0  # its tonic drive moves it on
