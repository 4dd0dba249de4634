# SPDX-License-Identifier: GPL-2.0-or-later
"""The clustered network: its tables against published numbers, its activity against the control."""

import json

import pytest

from cosim.network.network import expected_synapses, synapse_variance
from cosim.network.values import Uniform
from models.clustered.network import Parameters, baseline_pa, between, inside, network


def test_synapses_and_neurons():
    tables = network()
    assert sum(population.size for population in tables.populations) == 5000
    assert expected_synapses(tables).sum() == pytest.approx(7_698_700)
    assert synapse_variance(tables).sum() ** 0.5 == pytest.approx(2193, abs=1)


def test_weights_of_the_published_example():
    """In pA, by target and source: recomputed from NEST's example EI_clustered_network."""
    published = {("E", "E"): 0.224492, ("E", "I"): -0.431025, ("I", "E"): 0.178885, ("I", "I"): -0.715542}
    for ends, weight_pa in published.items():
        assert baseline_pa(*ends, Parameters()) == pytest.approx(weight_pa, rel=1e-5)
    assert inside("E", "E", Parameters()) == 6.0
    assert inside("E", "I", Parameters()) == pytest.approx(5.1)
    assert between("E", "E", Parameters()) == pytest.approx(0.736842, rel=1e-5)
    assert between("I", "I", Parameters()) == pytest.approx(0.784211, rel=1e-5)


@pytest.mark.parametrize("ends", [("E", "E"), ("E", "I"), ("I", "E"), ("I", "I")])
def test_clusters_leave_the_mean_input_as_it_is(ends):
    table = Parameters(clusters=10, j_ee_plus=4.0, r_j=0.5)
    assert inside(*ends, table) + 9 * between(*ends, table) == pytest.approx(10.0)


def test_time_constants_may_differ_between_neurons():
    parameters = network(tau_syn_cv=0.05).populations[0].parameters
    assert parameters["tau_syn_ex"] == Uniform(pytest.approx(4.567, abs=1e-3), pytest.approx(5.433, abs=1e-3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neurons": 5001}, "must be a multiple of 100"),
        ({"clusters": 5, "j_ee_plus": 6.0}, "must not be above clusters = 5"),
        ({"tau_syn_in_ms": 10.0}, "must differ from the membrane time constants"),
    ],
)
def test_settings_that_make_no_network_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Parameters(**settings)


# What 1 s after 1 s of warm-up shows in NEST's example EI_clustered_network, over 38 windows of 7 networks, and in its
# control over 22 windows of 7 networks, widened so that a fair network is not refused by chance.
CLUSTERED = {
    "rate_e_hz": (1.8, 2.8),
    "rate_i_hz": (2.5, 3.7),
    "cluster_rate_cv": (0.75, 1.6),
    "ei_correlation": (0.88, 1.0),
    "largest_fraction_in_1ms": (0.0, 0.1),
}
CONTROL = {
    "rate_e_hz": (1.9, 2.4),
    "rate_i_hz": (2.3, 2.9),
    "cluster_rate_cv": (0.1, 0.3),
    "ei_correlation": (-0.2, 0.35),
    "largest_fraction_in_1ms": (0.0, 0.1),
}


def run(launch, tmp_path, *settings):
    """On one thread: with a delay of one step, threads that share cores spend their time waiting for each other."""
    settings = ("brain.virtual_processes=1", *settings)
    options = [option for setting in settings for option in ("--set", setting)]
    result = launch(2, "run.py", "clustered", *options, "--out", str(tmp_path))
    assert result.returncode == 0, result.stderr
    return json.loads((tmp_path / "summary.json").read_text())["clusters"]


@pytest.mark.parametrize(
    ("settings", "ranges"),
    [
        ((), CLUSTERED),
        (("brain.tau_syn_cv=0.05",), CLUSTERED),
        (("brain.j_ee_plus=1.0",), CONTROL),
    ],
)
def test_activity_of_clusters_and_of_the_control(launch, tmp_path, settings, ranges):
    """No range of the cluster statistics overlaps: without clustering the first case fails.

    The seed is one whose clusters switch: one network in three or so holds a cluster for most of this second.
    """
    found = run(launch, tmp_path / "run", "seed=3", *settings)
    assert {name: found[name] for name, (low, high) in ranges.items() if not low <= found[name] <= high} == {}


@pytest.mark.parametrize("spikes", ["E_00", "*[0:5]"])
def test_without_all_spikes_there_are_no_statistics(launch, tmp_path, spikes):
    assert run(launch, tmp_path / "run", "brain.neurons=1000", f"record.spikes={spikes}", "clock.steps=51") is None


def test_a_short_run_says_what_it_has(launch, tmp_path):
    """20 ms after the warm-up are enough for rates, not for intervals."""
    found = run(launch, tmp_path / "run", "brain.neurons=1000", "clock.steps=51")
    assert found["rate_i_hz"] > 0
    assert found["cv2_e"] is None
