# SPDX-License-Identifier: GPL-2.0-or-later
"""Comparing with a recorded run in little memory: what differs is found, and nothing else."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from cosim.engines.built import BuiltPopulation
from cosim.engines.engine import JournalSpikes
from cosim.errors import Departure
from cosim.modes import compare, spike_check
from cosim.modes.compare import series_differences, series_names, spike_differences
from cosim.modes.spike_check import SpikeCheck
from cosim.record import populations
from cosim.record.folder import RunFolder
from cosim.record.sonata import SpikeFileWriter
from cosim.results import step_rows
from cosim.results.step_rows import Rows

STEPS, STEP_MS = 20, 5.0
BUILT = (
    BuiltPopulation("A", "M1", 1, 40, 40),
    BuiltPopulation("unrecorded", "M1", 41, 20, 0),
    BuiltPopulation("B", "M1", 61, 30, 30),
)
FIRST_IDS = {"A": 1, "B": 61}
RANKS = 3


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for module, name in ((spike_check, "BLOCK_SPIKES"), (step_rows, "BLOCK_STEPS"), (compare, "BLOCK_ROWS")):
        monkeypatch.setattr(module, name, 7)


def fired(seed: int = 1) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Times in ms and node ids from 0 of each population, in order; several spikes have the same time."""
    random = np.random.default_rng(seed)
    found = {}
    for name, size in (("A", 40), ("B", 30)):
        times_ms = np.round(random.uniform(0.1, STEPS * STEP_MS, 200), 1)
        ids = random.integers(0, size, 200)
        order = np.lexsort((ids, times_ms))
        found[name] = times_ms[order], ids[order].astype(np.uint64)
    return found


def write(folder: Path, trains: dict[str, tuple[np.ndarray, np.ndarray]]) -> RunFolder:
    folder.mkdir()
    writer = SpikeFileWriter(folder / "spikes.h5", {name: len(ids) for name, (_, ids) in trains.items()})
    for place, train in enumerate(trains.values()):
        writer.append(place, *train)
    writer.close()
    populations.write(folder / "populations.json", BUILT)
    return RunFolder(folder)


def feed(check: SpikeCheck, rank: int, trains: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """What one of RANKS ranks has, in blocks of some steps and there in any order, as threads write it."""
    times_ms = np.concatenate([times for times, _ in trains.values()])
    ids = np.concatenate([ids.astype(int) + FIRST_IDS[name] for name, (_, ids) in trains.items()])
    own = ids % RANKS == rank
    times_ms, ids = times_ms[own], ids[own]
    shuffled = np.random.default_rng(2).permutation(len(ids))
    times_ms, ids = times_ms[shuffled], ids[shuffled]
    for start_ms, end_ms in ((0, 15), (15, 20), (20, 60), (60, 200)):
        block = (times_ms > start_ms) & (times_ms <= end_ms)
        check(JournalSpikes(times_ms[block], ids[block], np.empty(0, int)))


def check_of(folder: RunFolder, rank: int) -> SpikeCheck:
    return SpikeCheck(folder, BUILT, lambda ids: ids % RANKS == rank)


def test_the_same_spikes_pass_on_every_rank_also_with_more_behind_them(tmp_path):
    recorded = fired()
    folder = write(tmp_path / "run", recorded)
    longer = {
        name: (np.append(times_ms, [110.0, 120.0]), np.append(ids, [3, 5]))
        for name, (times_ms, ids) in recorded.items()
    }
    for rank in range(RANKS):
        feed(check_of(folder, rank), rank, recorded)
        feed(check_of(folder, rank), rank, longer)


@pytest.mark.parametrize("place", [0, 6, 7, 120, 199])
def test_a_spike_of_another_time_is_found_by_its_rank_alone(tmp_path, place):
    recorded = fired()
    folder = write(tmp_path / "run", recorded)
    times_ms, ids = recorded["B"]
    times_ms = times_ms.copy()
    times_ms[place] += 0.001
    guilty = (int(ids[place]) + FIRST_IDS["B"]) % RANKS
    for rank in range(RANKS):
        changed = recorded | {"B": (times_ms, ids)}
        if rank != guilty:
            feed(check_of(folder, rank), rank, changed)
            continue
        neuron = ids[place]
        with pytest.raises(Departure, match=f"spikes of B .* neuron {neuron} at .* now neuron {neuron} at"):
            feed(check_of(folder, rank), rank, changed)


def test_the_first_differing_spike_is_told_with_its_step(tmp_path):
    recorded = fired()
    one = write(tmp_path / "one", recorded)
    times_ms, ids = (part.copy() for part in recorded["A"])
    ids[100] = (ids[100] + 1) % 40
    other = write(tmp_path / "other", recorded | {"A": (times_ms, ids)})
    files = one.spike_file, other.spike_file
    (found,) = spike_differences(*files, ["A", "B"], STEPS, STEP_MS)
    assert found.what == "spikes/A"
    assert found.step * STEP_MS < times_ms[100] <= (found.step + 1) * STEP_MS
    assert list(spike_differences(*files, ["A", "B"], found.step, STEP_MS)) == []


@pytest.mark.parametrize("missing_in", ["recorded", "now"])
def test_a_missing_last_spike_is_a_difference(tmp_path, missing_in):
    times_ms, ids = fired()["A"]
    trains = {"recorded": {"A": (times_ms, ids)}, "now": {"A": (times_ms, ids)}}
    trains[missing_in] = {"A": (times_ms[:-1], ids[:-1])}
    files = [write(tmp_path / name, train).spike_file for name, train in trains.items()]
    (found,) = spike_differences(*files, ["A"], STEPS, STEP_MS)
    assert getattr(found, missing_in) == "no more spike"
    assert found.step == STEPS - 1


def write_series(path: Path, angle_rad: np.ndarray, readout_mv: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file["body/angle_rad"] = angle_rad
        for place, name in enumerate("ab"):
            file[f"exchange/readout/{name}"] = readout_mv[:, place]
    return path


def test_series_come_step_by_step_and_differ_where_one_bit_does(tmp_path):
    random = np.random.default_rng(3)
    angle_rad, readout_mv = random.normal(size=(STEPS * 5, 3)), random.normal(size=(STEPS, 2))
    angle_rad[12] = np.nan  # of a body that diverged; the same in both
    one = write_series(tmp_path / "one.h5", angle_rad, readout_mv)
    body = Rows(one, ["body/angle_rad"], STEPS, 5)
    readout = Rows(one, ["exchange/readout/a", "exchange/readout/b"], STEPS)
    for step in range(STEPS):
        np.testing.assert_array_equal(body.at(step), angle_rad[5 * step : 5 * step + 5].ravel())
        np.testing.assert_array_equal(readout.at(step), readout_mv[step])
    assert (readout.name(0), readout.name(1)) == ("exchange/readout/a", "exchange/readout/b")

    angle_rad[5 * 9 + 4, 2] = np.nextafter(angle_rad[5 * 9 + 4, 2], np.inf)
    other = write_series(tmp_path / "other.h5", angle_rad, readout_mv)
    names = [*series_names(one, "body"), *series_names(one, "exchange")]
    assert names == ["body/angle_rad", "exchange/readout/a", "exchange/readout/b"]
    (found,) = series_differences(one, other, names, STEPS, 5)
    assert (found.what, found.step) == ("body/angle_rad", 9)
    assert list(series_differences(one, other, names, 9, 5)) == []
