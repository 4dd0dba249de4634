# SPDX-License-Identifier: GPL-2.0-or-later
"""The balanced network: counts that are exact, a rate that stays low, synapses that change."""

import json

import numpy as np
import pytest

from cosim.network.network import drive_links, expected_synapses
from models.balanced.network import ETA, PA_PER_MV, PSP_MV, drive_rate_hz, network


@pytest.mark.parametrize(
    ("scale", "neurons", "indegree"), [(1.0, 11_250, 11_250), (20.0, 225_000, 11_250), (0.5, 5625, 1125)]
)
def test_synapses_are_neurons_times_inputs(scale, neurons, indegree):
    tables = network(scale=scale)
    assert sum(tables.sizes.values()) == neurons
    assert expected_synapses(tables).sum() == neurons * indegree
    assert drive_links(tables) == neurons


def test_the_published_benchmark_has_as_many_connections():
    tables = network(scale=20.0)
    assert expected_synapses(tables).sum() + drive_links(tables) == 2_531_475_000


def test_the_drive_of_the_published_benchmark():
    assert drive_rate_hz(PSP_MV * PA_PER_MV, ETA) == pytest.approx(20_856.04, abs=0.01)
    assert PSP_MV * PA_PER_MV == pytest.approx(45.60960, abs=1e-5)


def test_a_small_network_fires_slowly_beside_husky(launch, tmp_path):
    result = launch(2, "run.py", "balanced_husky", "--steps", 15, "--out", str(tmp_path / "run"))
    assert result.returncode == 0, result.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["built"]["regions"]["network"] == {"neurons": 5625, "synapses": 5625 * 1125}
    assert 1.0 < summary["mean_rate_hz"]["E"] < 10.0
    assert 1.0 < summary["mean_rate_hz"]["I"] < 10.0


def test_inputs_are_exact_and_only_excitation_onto_excitation_changes(alone, tmp_path):
    result = alone("tests/programs/plastic_weights.py", 0.1, 200.0, tmp_path / "found.npz")
    assert result.returncode == 0, result.stderr
    found = np.load(tmp_path / "found.npz")
    start_pa = PSP_MV * PA_PER_MV / np.sqrt(0.02)  # a 50th of the inputs of scale 1
    inhibition_pa = -5 * start_pa
    for ends, indegree, weight_pa in (
        ("EE", 180, None),
        ("EI", 180, start_pa),
        ("IE", 45, inhibition_pa),
        ("II", 45, inhibition_pa),
    ):
        assert set(found[f"{ends}_indegrees"]) == {indegree}
        assert found[f"{ends}_autapses"] == 0
        if weight_pa:
            assert found[f"{ends}_weights_pa"] == pytest.approx(weight_pa)
    changed = ~np.isclose(found["EE_weights_pa"], start_pa)
    assert changed.mean() > 0.2
    assert found["EE_weights_pa"][changed].min() < start_pa < found["EE_weights_pa"][changed].max()
