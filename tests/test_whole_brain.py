# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole rodent brain, started the way users start it: the same on every split, and as active as it should be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cosim.network.network import drive_links, expected_synapses, synapse_variance
from cosim.results.run_data import RunData
from models.rodent.network import network

# Rates in Hz of one copy of the basal ganglia at full size: one run of an independent build in NEST 3.10 from the
# published tables, 1 s.
BASAL_GANGLIA_HZ = {"MSN": 0.173, "FSI": 10.825, "STN": 20.391, "GPe": 67.09, "GPi": 89.429}
SMALLEST_PATCH_MM = 0.13


def run(launch, ranks: int, out: Path, experiment: str, *settings: str, steps: int) -> RunData:
    options = [option for setting in settings for option in ("--set", setting)]
    result = launch(ranks, "run.py", experiment, *options, "--steps", steps, "--out", out)
    assert result.returncode == 0, result.stderr
    return RunData(out)


def built(data: RunData) -> dict:
    return json.loads(data.folder.summary_file.read_text())["built"]


@pytest.mark.slow
def test_the_loop_is_the_same_on_every_split_and_has_the_expected_synapses(launch, tmp_path):
    """On the smallest patch that leaves no population empty; started together, so that all regions fire at once."""
    settings = (f"brain.patch_mm={SMALLEST_PATCH_MM}", "brain.start=together", "brain.virtual_processes=2")
    one_rank = run(launch, 2, tmp_path / "1x2", "mouse_brain", *settings, steps=3)
    split = run(launch, 3, tmp_path / "2x1", "mouse_brain", *settings, steps=3)
    assert sum(spikes.timestamps_ms.size for spikes in one_rank.spikes.values()) > 1000
    for name, spikes in one_rank.spikes.items():
        np.testing.assert_array_equal(spikes.timestamps_ms, split.spikes[name].timestamps_ms, err_msg=name)
        np.testing.assert_array_equal(spikes.node_ids, split.spikes[name].node_ids, err_msg=name)
    assert np.array_equal(one_rank.body["joint_angle_rad"], split.body["joint_angle_rad"])
    counts = [built(data) for data in (one_rank, split)]
    assert counts[0]["regions"] == counts[1]["regions"]
    assert counts[0]["links"] == counts[1]["links"]
    _as_expected(counts[0])


def _as_expected(counts: dict) -> None:
    """NEST's counts against the tables: neurons and Poisson links exactly, synapses within 4 standard deviations."""
    tables = network(("all",), "loop", SMALLEST_PATCH_MM)
    sizes = {population.name: population.size for population in tables.populations if not population.is_relay}
    assert {each["name"]: each["neurons"] for each in counts["populations"]} == sizes
    assert counts["links"]["poisson"] == drive_links(tables)
    mean, deviation = expected_synapses(tables).sum(), synapse_variance(tables).sum() ** 0.5
    made = counts["totals"]["synapses"] - counts["links"]["poisson"]
    assert abs(made - mean) < 4 * deviation


@pytest.mark.slow
def test_basal_ganglia_at_full_size_fire_as_in_the_reference_run(launch, tmp_path):
    settings = ('brain.regions=["BG"]', "brain.patch_mm=1.0", 'record.spikes=["MSN", "FSI", "STN", "GP*"]')
    data = run(launch, 3, tmp_path / "run", "rodent_rest", *settings, steps=40)
    sizes = {each["name"]: each["neurons"] for each in built(data)["populations"]}
    for name, expected_hz in BASAL_GANGLIA_HZ.items():
        times_ms = data.spikes[name].timestamps_ms
        rate_hz = np.count_nonzero(times_ms > 300) / sizes[name] / 0.5
        assert rate_hz == pytest.approx(expected_hz, rel=0.15), name


def test_a_brain_that_does_not_fit_is_refused_with_what_would(launch):
    result = launch(
        2, "run.py", "mouse_brain", "--set", "brain.patch_mm=1.0", environment={"SLURM_MEM_PER_NODE": "8000"}
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "GB of memory on this machine, but" in result.stderr
    assert "brain.patch_mm = 0." in result.stderr


def test_wiring_of_nest_falls_back_where_nest_has_no_rule_and_says_so(launch, tmp_path):
    """Relays one to one, and scattered cells onto a grid."""
    settings = ('brain.regions=["BG", "VL"]', "brain.variant=loop", "brain.wiring=nest", "brain.patch_rule=kernel")
    counts = built(run(launch, 2, tmp_path / "run", "rodent_rest", *settings, "brain.patch_mm=0.25", steps=1))
    tables = network(("BG", "VL"), "loop", 0.25, "kernel")
    expected = expected_synapses(tables).sum() + drive_links(tables)
    assert counts["links"]["relay"] == tables.sizes["GPi_fake"]
    assert abs(counts["totals"]["synapses"] - expected) < 4 * synapse_variance(tables).sum() ** 0.5
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["left_to_nestlink"][0] == "GPi -> GPi_fake"
    number = len(summary["left_to_nestlink"])
    said = (
        f'wiring = "nest": NEST has no rule for {number} of {len(tables.projections)} projections, nestlink drew them: '
    )
    log = (tmp_path / "run/log.txt").read_text()
    assert log.count(said) == 1
    assert all(log.count(f"{ends},") + log.count(f"{ends}\n") == 1 for ends in set(summary["left_to_nestlink"]))
