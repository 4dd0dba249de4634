# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job, started the way users start it, and what its results folder holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec

from cosim.record.profile import STEP_PHASES
from cosim.results.run_data import RunData
from models.rodent.network import network

# Rates in Hz of M1 on a patch of 0.25 mm as the benchmark built it, over the last 500 ms without stimulus: one run of
# an independent build in NEST 3.10 from the published tables, one seed.
REFERENCE_RATES_HZ = {
    "M1_L1_ENGC": 2.188,
    "M1_L1_SBC": 2.133,
    "M1_L23_PV": 6.45,
    "M1_L23_VIP": 5.0,
    "M1_L5A_CC": 0.56,
    "M1_L5A_CS": 0.7,
    "M1_L5A_CT": 0.78,
    "M1_L5A_PV": 4.792,
    "M1_L5A_SST": 2.25,
    "M1_L5B_CC": 3.004,
    "M1_L5B_CS": 2.818,
    "M1_L5B_PT": 2.535,
    "M1_L5B_PV": 5.804,
    "M1_L5B_SST": 6.661,
    "M1_L6_PV": 5.7,
    "M1_L6_SST": 5.72,
}


def run(ranks: int, out: Path, *arguments: object) -> subprocess.CompletedProcess:
    command = [find_mpiexec(), "-n", ranks, sys.executable, "run.py", "mouse_m1", "--out", out, *arguments]
    return subprocess.run(
        [str(word) for word in command],
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=280,
    )


def finished(ranks: int, out: Path, *arguments: object) -> RunData:
    result = run(ranks, out, *arguments)
    assert result.returncode == 0, result.stderr
    return RunData(out)


def summary(data: RunData) -> dict:
    return json.loads(data.folder.summary_file.read_text())


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> RunData:
    """What `make demo` runs, on four brain ranks as in the README."""
    return finished(5, tmp_path_factory.mktemp("demo") / "run")


@pytest.fixture(scope="module")
def without_stimulus(tmp_path_factory) -> RunData:
    """On two brain ranks of two threads."""
    return finished(3, tmp_path_factory.mktemp("quiet") / "run", "--set", "protocol.stimulus_rate_hz=0")


pytestmark = pytest.mark.timeout(300)


@pytest.mark.slow
def test_the_joystick_is_drawn_back_and_then_pushed_forward(demo):
    result = summary(demo)
    assert result["tip_forward_before_mm"] < 0
    assert result["tip_forward_after_mm"] >= 5


@pytest.mark.slow
def test_without_stimulus_the_joystick_is_not_pushed(without_stimulus):
    assert summary(without_stimulus)["tip_forward_after_mm"] < 1


@pytest.mark.slow
def test_m1_has_the_neurons_and_synapses_of_the_benchmark(demo):
    built = summary(demo)["built"]["regions"]["M1"]
    assert built["neurons"] == 3744
    assert built["synapses"] == pytest.approx(7_240_888, rel=1e-3)


@pytest.mark.slow
def test_rates_without_stimulus_are_within_a_factor_of_two_of_the_reference(without_stimulus):
    sizes = {each.name: each.size for each in network().populations}
    for name, reference_hz in REFERENCE_RATES_HZ.items():
        late = without_stimulus.spikes[name].timestamps_ms > 500
        rate_hz = late.sum() / sizes[name] / 0.5
        assert reference_hz / 2 <= rate_hz <= reference_hz * 2, name


@pytest.mark.slow
def test_the_brain_settles_before_the_stimulus_and_answers_it(demo, without_stimulus):
    times_ms = demo.exchange_time_ms
    before, after = times_ms <= 500, times_ms > 540
    with_, without = demo.readout["M1_L1_ENGC"], without_stimulus.readout["M1_L1_ENGC"]
    np.testing.assert_array_equal(with_[before], without[before])
    assert with_[after].mean() > 2 * without[after].mean()


@pytest.mark.slow
def test_the_stimulus_acts_from_half_a_second_on(demo):
    rates_hz = demo.stimulus["engc_source"]
    np.testing.assert_array_equal(rates_hz, np.where(np.arange(50) < 25, 0.0, 50_000.0))


@pytest.mark.slow
def test_muscles_follow_base_activation_and_then_the_sink(demo):
    data = demo
    base = [0.5, 0.9, 0.2, 0.4, 0.6, 0.8, 0.2, 0.6]
    activation, time_ms = data.body["muscle_activation"], data.body["time_ms"]
    np.testing.assert_allclose(activation[time_ms == 100.0][0], base, atol=0.02)
    muscles = data.columns("muscle_activation")
    driven, held = ("Foot2", "Humerus1", "Humerus3"), ("Radius1", "Radius2", "Humerus2", "Humerus4")
    late = activation[time_ms > 900].mean(axis=0)
    assert all(late[muscles.index(name)] > 0.85 for name in driven)
    assert all(late[muscles.index(name)] == pytest.approx(base[muscles.index(name)], abs=1e-3) for name in held)
    assert late[muscles.index("Foot1")] == pytest.approx(0.2, abs=1e-3)


@pytest.mark.slow
def test_run_file_holds_every_physics_step_and_every_phase_of_every_rank(demo):
    data = demo
    assert data.body["joint_angle_rad"].shape == (1000, 6)
    assert data.body["muscle_force_N"].shape == (1000, 8)
    assert len(data.readout) == 19 and all(values.shape == (50,) for values in data.readout.values())
    assert set(STEP_PHASES) == set(data.profile)
    assert all(values.shape == (5, 50) for values in data.profile.values())
    with h5py.File(data.folder.run_file) as file:
        assert {"connect_s", "prepare_s"} <= set(file["profile/build"])
        assert file["profile/memory/peak_mb"].shape == (5,)
        for name in ("configuration", "seed", "brain_ranks", "threads_per_brain_rank", "version_nest"):
            assert name in file.attrs


@pytest.mark.slow
def test_summary_says_how_the_coupling_fraction_is_computed_and_it_can_be_recomputed(demo):
    result, profile = summary(demo), demo.profile
    step_s = sum(values[1:] for name, values in profile.items() if name != "steer").max(axis=0).sum()
    run_s = (profile["brain"] + profile["ahead"])[1:].max(axis=0).sum()
    assert result["coupling_fraction"] == pytest.approx(1 - run_s / step_s)
    assert "longest Run" in result["coupling_fraction_is"]
    assert result["real_time_factor"] == pytest.approx(1.0 / result["loop_s"])


SMALL = ("--set", "brain.patch_mm=0.15", "--set", "protocol.stimulus_onset_ms=100", "--steps", "12")


def datasets(data: RunData) -> dict[str, bytes]:
    """Every dataset of a run as bytes, without the profile: wall times are never the same."""
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("profile"):
            found[name] = item[:].tobytes()

    for path in (data.folder.run_file, data.folder.spike_file):
        with h5py.File(path) as file:
            file.visititems(keep)
    return found


@pytest.fixture(scope="module")
def one_rank_of_four_threads(tmp_path_factory) -> RunData:
    return finished(2, tmp_path_factory.mktemp("split") / "1x4", *SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [3, 5])
def test_results_do_not_depend_on_the_split_into_ranks_and_threads(one_rank_of_four_threads, tmp_path, ranks):
    other = finished(ranks, tmp_path / "run", *SMALL)
    assert summary(other)["brain_ranks"] == ranks - 1
    assert summary(other)["threads_per_brain_rank"] == 4 // (ranks - 1)
    expected = datasets(one_rank_of_four_threads)
    assert sum(len(spikes.node_ids) for spikes in other.spikes.values()) > 100
    assert datasets(other) == expected


def test_another_seed_gives_other_results(one_rank_of_four_threads, tmp_path):
    """That the same one gives the same is what the stored configuration is tested for."""
    one, other = datasets(one_rank_of_four_threads), datasets(finished(2, tmp_path / "other", *SMALL, "--seed", 77))
    assert other.keys() == one.keys()
    assert other["spikes/M1_L6_SST/timestamps"] != one["spikes/M1_L6_SST/timestamps"]


def test_the_stored_configuration_with_its_seed_gives_the_same_run(one_rank_of_four_threads, tmp_path):
    folder = tmp_path / "mouse_m1"
    folder.mkdir()
    (folder / "transfer.py").write_text((REPOSITORY / "models/mouse_m1/transfer.py").read_text())
    stored = one_rank_of_four_threads.folder.path / "config.toml"
    (folder / "experiment.toml").write_text(stored.read_text())
    command = [find_mpiexec(), "-n", "2", sys.executable, "run.py", str(folder), "--out", str(tmp_path / "run")]
    subprocess.run(command, cwd=REPOSITORY, env=clean_environment(), check=True, timeout=120, capture_output=True)
    assert datasets(RunData(tmp_path / "run")) == datasets(one_rank_of_four_threads)


def test_spikes_are_sorted_by_time_and_then_id(one_rank_of_four_threads):
    for spikes in one_rank_of_four_threads.spikes.values():
        order = np.lexsort((spikes.node_ids, spikes.timestamps_ms))
        np.testing.assert_array_equal(order, np.arange(len(order)))


def test_spike_file_opens_in_libsonata_and_bmtk_with_the_right_counts(one_rank_of_four_threads):
    import libsonata
    from bmtk.utils.reports.spike_trains import SpikeTrains

    path, spikes = one_rank_of_four_threads.folder.spike_file, one_rank_of_four_threads.spikes
    reader = libsonata.SpikeReader(str(path))
    assert set(reader.get_population_names()) == set(spikes)
    for name, expected in spikes.items():
        assert len(reader[name].get()) == len(expected.node_ids)
        trains = SpikeTrains.from_sonata(str(path), population=name)
        assert trains.n_spikes(population=name) == len(expected.node_ids)
