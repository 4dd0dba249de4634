# SPDX-License-Identifier: GPL-2.0-or-later
"""Recording: files that can be read while they grow and after a kill, shards that merge into one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import clean_environment
from killed_run import make_experiment, make_run

from cosim.engines.built import BuiltPopulation
from cosim.modes.recorded_run import RecordedRun
from cosim.record import merge, provenance, series
from cosim.record.merge import merge_profiles, merge_spikes
from cosim.record.profile import STEP_PHASES
from cosim.record.recorder import PROFILE, PROFILE_SERIES, SPIKE_IDS, SPIKE_TIMES, SPIKES_DONE
from cosim.record.series import Series, SeriesFile
from cosim.results.run_data import RunData

POPULATIONS = (
    BuiltPopulation("A", "M1", 1, 40, 40),
    BuiltPopulation("silent", "M1", 41, 10, 10),
    BuiltPopulation("unrecorded", "M1", 51, 20, 0),
    BuiltPopulation("B", "M1", 71, 30, 30),
)
STEPS, STEP_MS = 12, 20.0


def test_rows_and_columns_come_out_as_they_went_in(tmp_path):
    file = SeriesFile(
        tmp_path / "run.h5",
        {"angle": Series((3,), attributes={"units": "rad"}), "readout": Series(columns=("left", "right"))},
        {"seed": 3},
    )
    rows = np.arange(12.0).reshape(4, 3)
    for start in (0, 2):
        file.append("angle", rows[start : start + 2])
        file.append("readout", np.array([[start, 10.0 * start]]))
        file.flush()
    file.close()
    with h5py.File(tmp_path / "run.h5") as stored:
        np.testing.assert_array_equal(stored["angle"], rows)
        np.testing.assert_array_equal(stored["readout/left"], [0, 2])
        np.testing.assert_array_equal(stored["readout/right"], [0, 20])
        assert (stored["angle"].attrs["units"], stored.attrs["seed"]) == ("rad", 3)


def test_what_is_appended_is_a_copy(tmp_path):
    file = SeriesFile(tmp_path / "run.h5", {"x": Series()})
    buffer = np.array([1.0])
    file.append("x", buffer)
    buffer[:] = 2.0
    file.close()
    with h5py.File(tmp_path / "run.h5") as stored:
        assert stored["x"][:] == [1.0]


def test_another_run_is_never_written_over(tmp_path):
    SeriesFile(tmp_path / "run.h5", {"x": Series()}).close()
    with pytest.raises(FileExistsError):
        SeriesFile(tmp_path / "run.h5", {"x": Series()})


def flush_if_due(file: SeriesFile) -> None:
    if file.is_due():
        file.flush()


def test_much_at_once_is_written_without_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(series, "WAITING_BYTES", 1000)
    monkeypatch.setattr(series, "FLUSH_INTERVAL_S", 1000)
    file = SeriesFile(tmp_path / "run.h5", {"x": Series()})
    for _ in range(3):
        file.append("x", np.zeros(60))
        flush_if_due(file)
    with h5py.File(tmp_path / "run.h5", "r", swmr=True) as stored:
        assert len(stored["x"]) == 180
    file.append("x", np.zeros(60))
    flush_if_due(file)
    with h5py.File(tmp_path / "run.h5", "r", swmr=True) as stored:
        assert len(stored["x"]) == 180
    file.close()


def test_little_is_written_once_in_an_interval(tmp_path, monkeypatch):
    now_s = 100.0
    monkeypatch.setattr(series.time, "monotonic", lambda: now_s)
    file = SeriesFile(tmp_path / "run.h5", {"x": Series()})
    written = []
    for now_s in (100.5, 101.5, 102.0, 103.0):
        file.append("x", np.zeros(1))
        flush_if_due(file)
        with h5py.File(tmp_path / "run.h5", "r", swmr=True) as stored:
            written.append(len(stored["x"]))
    file.close()
    assert written == [0, 2, 2, 4]


def test_what_waits_to_be_written_is_bounded(tmp_path, monkeypatch):
    """Memory stays flat however long the run: its peak over 64 MB that are written in parts of 1 MB."""
    monkeypatch.setattr(series, "WAITING_BYTES", 10**6)
    file = SeriesFile(tmp_path / "run.h5", {"x": Series()})
    tracemalloc.start()
    for _ in range(800):
        file.append("x", np.zeros(10_000))
        flush_if_due(file)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    file.close()
    assert peak_bytes < 5 * 10**6


WRITER = """
import sys
from pathlib import Path
import numpy as np
from cosim.record.series import Series, SeriesFile
file = SeriesFile(Path(sys.argv[1]), {"x": Series(), "y": Series((2,))})
count = 0
while True:
    file.append("x", np.arange(count, count + 100.0))
    file.append("y", np.ones((50, 2)))
    count += 100
    file.flush()
    print(count, flush=True)
"""


def test_a_file_can_be_read_while_it_grows_and_after_its_writer_was_killed(tmp_path):
    path = tmp_path / "shard.h5"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=clean_environment()
    ) as writer:
        for _ in range(50):
            flushed = int(writer.stdout.readline())
            assert_counts_up(path, at_least=flushed)
        os.kill(writer.pid, signal.SIGKILL)
        for line in writer.stdout:
            flushed = int(line)
    assert_counts_up(path, at_least=flushed)


def assert_counts_up(path: Path, at_least: int) -> None:
    with h5py.File(path, "r", swmr=True) as file:
        values = file["x"][:]
        np.testing.assert_array_equal(values[:at_least], np.arange(at_least))
        assert len(values) >= at_least
        assert (file["y"][: at_least // 2] == 1).all()


def random_spikes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Times in ms on a grid of 0.1 ms, many of them equal, and ids of neurons in A and B."""
    draw = np.random.default_rng(seed)
    times = np.round(draw.integers(1, int(STEPS * STEP_MS * 10) + 1, 3000) * 0.1, 1)
    ids = draw.choice(np.concatenate([np.arange(1, 41), np.arange(71, 101)]), 3000)
    pairs = np.unique(np.column_stack([times, ids]), axis=0)  # a neuron fires once at a time
    draw.shuffle(pairs)
    return pairs[:, 0], pairs[:, 1].astype(int)


def write_shards(folder: Path, times: np.ndarray, ids: np.ndarray, ranks: int, lost: int = 0) -> list[Path]:
    """Spread spikes over the shards of ``ranks`` by id; the last shard misses the last ``lost`` steps."""
    shards = []
    for rank in range(ranks):
        path = folder / f"rank-{rank}.h5"
        mine = ids % ranks == rank
        steps = STEPS - (lost if rank == ranks - 1 else 0)
        write_shard(path, times[mine], ids[mine], steps)
        shards.append(path)
    return shards


def write_shard(path: Path, times: np.ndarray, ids: np.ndarray, steps: int) -> None:
    kinds = {SPIKE_TIMES: Series(), SPIKE_IDS: Series(dtype="i8"), SPIKES_DONE: Series(dtype="i8")}
    file = SeriesFile(path, {**kinds, PROFILE: PROFILE_SERIES})
    done = 0
    for step in range(steps):
        now = (times > step * STEP_MS) & (times <= (step + 1) * STEP_MS)
        done += now.sum()
        file.append(SPIKE_TIMES, times[now])
        file.append(SPIKE_IDS, ids[now])
        file.append(SPIKES_DONE, np.array([done]))
        file.append(PROFILE, np.full((1, len(STEP_PHASES)), step + 1.0))
    file.close()


def assert_holds(data: RunData, times: np.ndarray, ids: np.ndarray) -> None:
    """Compare with sorting everything at once."""
    assert set(data.spikes) == {"A", "silent", "B"}
    for population in POPULATIONS:
        if population.recorded:
            own = (ids >= population.first_id) & (ids < population.first_id + population.size)
            order = np.lexsort((ids[own], times[own]))
            stored = data.spikes[population.name]
            np.testing.assert_array_equal(stored.timestamps_ms, times[own][order])
            np.testing.assert_array_equal(stored.node_ids, ids[own][order] - population.first_id)
            assert stored.node_ids.dtype == np.uint64


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("window", [1, 300, 10**6])
def test_merging_equals_sorting_whatever_the_shards_and_windows(tmp_path, monkeypatch, ranks, window):
    monkeypatch.setattr(merge, "WINDOW_SPIKES", window)
    times, ids = random_spikes(seed=ranks)
    data = RunData(tmp_path)
    counts = merge_spikes(write_shards(tmp_path, times, ids, ranks), POPULATIONS, data.folder.spike_file)
    assert_holds(data, times, ids)
    assert counts == {"A": (ids <= 40).sum(), "silent": 0, "B": (ids >= 71).sum()}
    assert not list(tmp_path.glob("*.unfinished"))


def test_steps_that_one_shard_does_not_hold_are_left_out(tmp_path):
    times, ids = random_spikes(seed=9)
    data = RunData(tmp_path)
    merge_spikes(write_shards(tmp_path, times, ids, 3, lost=2), POPULATIONS, data.folder.spike_file)
    whole = times <= (STEPS - 2) * STEP_MS
    assert_holds(data, times[whole], ids[whole])


def test_single_spikes_and_steps_without_any_are_merged(tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "WINDOW_SPIKES", 1)
    times, ids = np.array([20.0, 20.1, 160.0, 160.0]), np.array([71, 1, 100, 40])
    data = RunData(tmp_path)
    merge_spikes(write_shards(tmp_path, times, ids, 2), POPULATIONS, data.folder.spike_file)
    assert_holds(data, times, ids)


def test_a_run_without_spikes_or_steps_has_a_spike_file(tmp_path):
    times, ids = np.empty(0), np.empty(0, dtype=int)
    data = RunData(tmp_path)
    write_shard(tmp_path / "rank-1.h5", times, ids, steps=0)
    counts = merge_spikes([tmp_path / "rank-1.h5"], POPULATIONS, data.folder.spike_file)
    assert counts == {"A": 0, "silent": 0, "B": 0}
    assert_holds(data, times, ids)


def test_nothing_recorded_is_a_file_without_populations(tmp_path):
    data = RunData(tmp_path)
    write_shard(tmp_path / "rank-1.h5", np.empty(0), np.empty(0, dtype=int), STEPS)
    assert merge_spikes([tmp_path / "rank-1.h5"], POPULATIONS[2:3], data.folder.spike_file) == {}
    assert data.spikes == {}


def test_windows_hold_whole_steps_and_no_more_spikes_than_allowed(monkeypatch):
    monkeypatch.setattr(merge, "WINDOW_SPIKES", 10)
    done = np.array([4, 4, 9, 30, 31]), np.array([1, 5, 5, 6, 6])  # both: 5, 9, 14, 36, 37
    windows = [(starts.tolist(), ends.tolist()) for starts, ends in merge._windows(done)]
    assert windows == [([0, 0], [4, 5]), ([4, 5], [9, 5]), ([9, 5], [30, 6]), ([30, 6], [31, 6])]


def test_windows_give_the_identical_file(tmp_path, monkeypatch):
    times, ids = random_spikes(seed=6)
    shards = write_shards(tmp_path, times, ids, 3)
    merge_spikes(shards, POPULATIONS, tmp_path / "one.h5")
    monkeypatch.setattr(merge, "WINDOW_SPIKES", 200)
    merge_spikes(shards, POPULATIONS, tmp_path / "many.h5")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "many.h5").read_bytes()


def test_the_spike_file_is_sonata(tmp_path):
    import libsonata
    from bmtk.utils.reports.spike_trains import SpikeTrains

    times, ids = random_spikes(seed=4)
    path = tmp_path / "spikes.h5"
    merge_spikes(write_shards(tmp_path, times, ids, 2), POPULATIONS, path)
    reader = libsonata.SpikeReader(str(path))
    assert sorted(reader.get_population_names()) == ["A", "B", "silent"]
    assert reader["A"].sorting == "by_time"
    assert len(reader["B"].get()) == (ids >= 71).sum()
    assert reader["silent"].get() == []
    assert SpikeTrains.from_sonata(str(path), population="A").n_spikes(population="A") == (ids <= 40).sum()
    with h5py.File(path) as file:
        assert file.attrs["magic"] == 0x0A7A
        assert file.attrs["version"].tolist() == [0, 1]
        assert file["spikes/A/timestamps"].attrs["units"] == "ms"
        assert h5py.check_enum_dtype(file["spikes/A"].attrs.get_id("sorting").dtype) == {
            "none": 0, "by_id": 1, "by_time": 2
        }  # fmt: skip


def test_profiles_of_all_ranks_go_into_the_run_file(tmp_path):
    times, ids = random_spikes(seed=5)
    shards = write_shards(tmp_path, times, ids, 3)
    data = RunData(tmp_path)
    SeriesFile(data.folder.run_file, {"body/time_ms": Series()}).close()
    whole = merge_profiles(data.folder.run_file, shards, 10, {"memory/peak_mb": np.array([1.0, 2.0, 3.0])})
    assert whole.shape == (3, 10, len(STEP_PHASES))
    assert set(data.profile) == set(STEP_PHASES)
    for values in data.profile.values():
        np.testing.assert_array_equal(values, np.tile(np.arange(1.0, 11.0), (3, 1)))
    with h5py.File(data.folder.run_file) as file:
        assert file["profile/memory/peak_mb"][:].tolist() == [1.0, 2.0, 3.0]
        assert file["profile/brain"].attrs["units"] == "s"


def texts(item: h5py.HLObject) -> list[str]:
    """All attributes that are texts, those in lists included."""
    values = [each for value in item.attrs.values() for each in np.ravel(value).tolist()]
    return [each for each in values if isinstance(each, str)]


def test_no_nul_and_no_newline_reaches_an_attribute(tmp_path, monkeypatch, recover):
    """Open MPI ends its version with NUL, which HDF5 refuses; titles, paths and arguments may hold anything."""
    experiment = make_experiment(tmp_path / "two\nlines")
    text = (experiment / "experiment.toml").read_text()
    (experiment / "experiment.toml").write_text('title = "a\\nb\\u0000"\n' + text)
    monkeypatch.setattr(provenance.MPI, "Get_library_version", lambda: "Open MPI v5.0.7\0")
    monkeypatch.setattr("sys.argv", ["run.py", "a\nb\udce9"])
    run = make_run(tmp_path / "run", experiment, columns=["hip\0", "knee\n"])
    assert recover(run.path) == 0
    found: list[str] = []
    with h5py.File(run.run_file) as file:
        assert (file.attrs["version_mpi"], file.attrs["command"]) == ("Open MPI v5.0.7", "run.py a b?")
        assert list(file["body/angle_rad"].attrs["columns"]) == ["hip", "knee"]
        found += texts(file)
        file.visititems(lambda _, item: found.extend(texts(item)))
    assert len(found) > 20 and not [each for each in found if set(each) & set("\0\r\n")]
    assert RecordedRun.open(run.path).tables["title"] == "a\nb\0", "what an attribute tells of it is the same"
