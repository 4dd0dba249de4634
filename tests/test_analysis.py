# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim.results.load``: arrays and Neo trains of runs that have ended and of runs that go on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import clean_environment

import cosim.results
from cosim.engines.built import BuiltPopulation
from cosim.errors import ConfigurationError
from cosim.record import populations
from cosim.record.folder import RunFolder
from cosim.record.merge import merge_profiles, merge_spikes
from cosim.record.names import PROFILE, SPIKE_IDS, SPIKE_TIMES, SPIKES_DONE
from cosim.record.profile import STEP_PHASES
from cosim.record.series import Series, SeriesFile
from cosim.results import irregularity

STEPS, STEP_MS = 40, 20.0
POPULATIONS = [
    BuiltPopulation("A", "M1", 1, 30, 30, layer="L5", cell_type="PT", neuron_model="iaf_cond_alpha"),
    BuiltPopulation("part", "M1", 31, 20, 5),
    BuiltPopulation("relay", "M1", 51, 4, 0, is_relay=True),
]
CONFIG = """title = "made up"
seed = 1
[clock]
coupling_step_ms = 20.0
physics_step_ms = 10.0
"""


def all_spikes() -> tuple[np.ndarray, np.ndarray]:
    """Times in ms on NEST's grid, and NEST's ids; the last neuron of A is silent."""
    draw = np.random.default_rng(1)
    times = np.round(draw.integers(1, int(STEPS * STEP_MS * 10) + 1, 900) * 0.1, 1)
    pairs = np.unique(np.column_stack([times, draw.choice([*range(1, 30), *range(31, 36)], 900)]), axis=0)
    return pairs[:, 0], pairs[:, 1].astype(int)


class Writer:
    """Writes what the ranks of a run would, step by step: one body rank and two brain ranks."""

    def __init__(self, path: Path) -> None:
        folder = RunFolder(path)
        (path / "shards").mkdir(parents=True)
        (path / "config.toml").write_text(CONFIG)
        populations.write(path / "populations.json", POPULATIONS)
        profile = Series((len(STEP_PHASES),), attributes={"phases": list(STEP_PHASES)})
        spikes = {SPIKE_TIMES: Series(), SPIKE_IDS: Series(dtype="i8"), SPIKES_DONE: Series(dtype="i8")}
        angle = Series((2,), attributes={"columns": ["hip", "knee"]})
        self.run = SeriesFile(
            folder.run_file,
            {
                "body/joint_angle_rad": angle,
                "body/time_ms": Series(),
                "exchange/time_ms": Series(),
                "exchange/readout": Series(columns=("A",)),
                "exchange/stimulus": Series(columns=("input",)),
            },
            {"seed": 1},
        )
        self.shards = [SeriesFile(folder.shard(0), {PROFILE: profile})]
        self.shards += [SeriesFile(folder.shard(rank), {**spikes, PROFILE: profile}) for rank in (1, 2)]
        self.done, self.spikes = [0, 0, 0], all_spikes()

    def body_step(self, step: int) -> None:
        self.run.append("body/joint_angle_rad", np.full((2, 2), float(step)))
        self.run.append("body/time_ms", STEP_MS * step + np.array([10.0, 20.0]))
        self.run.append("exchange/time_ms", np.array([STEP_MS * (step + 1)]))
        self.run.append("exchange/readout", np.array([[0.1 * step]]))
        self.run.append("exchange/stimulus", np.array([[5.0]]))
        self.shards[0].append(PROFILE, np.full((1, len(STEP_PHASES)), step + 1.0))

    def brain_step(self, rank: int, step: int) -> None:
        times, ids = self.spikes
        mine = (ids % 2 == rank - 1) & (times > step * STEP_MS) & (times <= (step + 1) * STEP_MS)
        self.done[rank] += mine.sum()
        shard = self.shards[rank]
        shard.append(SPIKE_TIMES, times[mine])
        shard.append(SPIKE_IDS, ids[mine])
        shard.append(SPIKES_DONE, np.array([self.done[rank]]))
        shard.append(PROFILE, np.full((1, len(STEP_PHASES)), step + 1.0))

    def flush(self) -> None:
        for file in (self.run, *self.shards):
            file.flush()

    def close(self) -> None:
        for file in (self.run, *self.shards):
            file.close()


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> cosim.results.RunData:
    """A run that has ended, as files."""
    path = tmp_path_factory.mktemp("analysis") / "run"
    writer = Writer(path)
    for step in range(STEPS):
        writer.body_step(step)
        for rank in (1, 2):
            writer.brain_step(rank, step)
    writer.close()
    folder = RunFolder(path)
    built = [BuiltPopulation(*(getattr(each, name) for name in BUILT)) for each in POPULATIONS]
    merge_spikes(folder.shards(3)[1:], built, folder.spike_file)
    merge_profiles(folder.run_file, folder.shards(3), STEPS, {"memory/peak_mb": np.array([1.0, 2.0, 3.0])})
    for shard in folder.shards(3):
        shard.unlink()
    return cosim.results.load(path)


BUILT = ("name", "region", "first_id", "size", "recorded", "is_relay")


def test_arrays_of_a_run(ended):
    times, ids = all_spikes()
    own = ids <= 30
    assert set(ended.spikes) == {"A", "part"} == set(ended.spike_counts)
    np.testing.assert_array_equal(ended.spikes["A"].timestamps_ms, times[own])
    np.testing.assert_array_equal(ended.spikes["A"].node_ids, ids[own] - 1)
    assert ended.spike_counts["A"] == own.sum()
    assert ended.simulated_ms == STEPS * STEP_MS and ended.memory_mb.tolist() == [1, 2, 3]
    assert list(ended.profile) == list(STEP_PHASES)
    with pytest.raises(KeyError, match="'relay': not recorded; there are A, part"):
        ended.spikes["relay"]


def test_trains_of_a_population_are_its_spikes(ended):
    trains = ended.spiketrains("A")
    times, ids = all_spikes()
    assert len(trains) == 30 and len(trains[29]) == 0
    for node, train in enumerate(trains):
        np.testing.assert_array_equal(train.rescale("ms").magnitude, times[ids == node + 1])
        assert train.t_stop.rescale("ms").magnitude == STEPS * STEP_MS
    known = {
        "population": "A",
        "region": "M1",
        "layer": "L5",
        "cell_type": "PT",
        "neuron_model": "iaf_cond_alpha",
    }
    assert trains[7].annotations == {**known, "node_id": 7}


def test_of_a_population_recorded_in_part_there_are_the_trains_that_fired(ended):
    assert [train.annotations["node_id"] for train in ended.spiketrains("part")] == [0, 1, 2, 3, 4]


def test_a_run_is_a_block_of_neo(ended):
    segment = ended.neo().segments[0]
    assert len(segment.spiketrains) == 35
    signals = {signal.name: signal for signal in segment.analogsignals}
    angle = signals["joint_angle_rad"]
    assert angle.shape == (2 * STEPS, 2) and angle.dimensionality.string == "rad"
    assert list(angle.array_annotations["column"]) == ["hip", "knee"]
    np.testing.assert_allclose(angle.times.rescale("ms").magnitude, ended.body["time_ms"])
    np.testing.assert_allclose(signals["sink_voltage"].times.rescale("ms").magnitude, STEP_MS * np.arange(1, STEPS + 1))
    assert signals["source_rate"].t_start == 0


@pytest.mark.parametrize("population", ["A", "part"])
def test_elephant_and_cosim_agree_on_irregularity(ended, population):
    own, elephants = (each(ended, population) for each in (irregularity.by_cosim, irregularity.by_elephant))
    assert (own.by, elephants.by) == ("cosim", "Elephant")
    assert own[:3] == pytest.approx(elephants[:3], rel=1e-9)
    assert 0.3 < own.cv < 2 and 0.3 < own.fano < 2


def test_large_populations_are_not_left_to_elephant(ended, monkeypatch):
    assert irregularity.irregularity(ended, "A").by == "Elephant"
    monkeypatch.setattr(irregularity, "MOST_TRAINS", 29)
    assert irregularity.irregularity(ended, "A").by == "cosim"


def test_without_elephant_the_numbers_are_there(ended, monkeypatch):
    with_it = irregularity.irregularity(ended, "A")
    monkeypatch.setattr(irregularity, "find_spec", lambda _: None)
    without = irregularity.irregularity(ended, "A")
    assert without.by == "cosim" and without[:3] == pytest.approx(with_it[:3])


def test_a_run_that_goes_on_shows_whole_steps_of_all_ranks(tmp_path):
    writer = Writer(tmp_path / "run")
    for step in range(10):
        writer.body_step(step)
        writer.brain_step(1, step)
        if step < 7:
            writer.brain_step(2, step)
    writer.flush()
    run = cosim.results.load(tmp_path / "run")
    times, ids = all_spikes()
    whole = (times <= 7 * STEP_MS) & (ids <= 30)
    np.testing.assert_array_equal(run.spikes["A"].timestamps_ms, times[whole])
    np.testing.assert_array_equal(run.spikes["A"].node_ids, ids[whole] - 1)
    assert run.spike_counts["A"] == whole.sum() > 0
    assert run.profile["brain"].shape == (3, 7) and run.profile["brain"][2].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert run.readout["A"].shape == run.stimulus["input"].shape == run.exchange_time_ms.shape == (10,)
    assert run.body["joint_angle_rad"].shape == (20, 2)
    writer.brain_step(2, 7)
    writer.flush()
    assert cosim.results.load(tmp_path / "run").spike_counts["A"] > whole.sum()
    writer.close()


READ_ONLY_WHAT_IS_NEEDED = """
import sys
import cosim.results
run = cosim.results.load(sys.argv[1])
run.spikes["A"], run.body, run.readout, run.profile
print([name for name in ("mpi4py.MPI", "nest", "pybullet", "neo", "matplotlib") if name in sys.modules])
"""


def test_reading_starts_neither_mpi_nor_anything_large(ended):
    command = [sys.executable, "-c", READ_ONLY_WHAT_IS_NEEDED, str(ended.folder.path)]
    result = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no run\.h5: must be the results folder of a run"):
        cosim.results.load(tmp_path)


def test_what_is_known_of_populations_is_plain_json(ended):
    listed = json.loads((ended.folder.populations_file).read_text())
    assert listed[0]["name"] == "A" and listed[0]["first_id"] == 1
    assert ended.populations["A"] == POPULATIONS[0]
