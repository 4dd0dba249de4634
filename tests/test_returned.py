# SPDX-License-Identifier: GPL-2.0-or-later
"""What transfer functions return: recorded beside the exchange, and there for all who read a run."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
from killed_run import make_experiment, make_run

from cosim.finalize import finalize
from cosim.modes import recover as recovering
from cosim.record.folder import RunFolder, make_folder
from cosim.record.returned import ReturnedValues, recordable
from cosim.results.export import main as export
from cosim.results.run_data import RunData
from cosim.show import figure

STEPS = 4


def values_of(step: int) -> dict[str, object]:
    """What some functions return at the end of a step: a number, an array, a dictionary, now and then, from late on."""
    returned = {"number": step, "array": np.arange(6.0).reshape(2, 3) + step, "both": {"is": True, "list": [1, step]}}
    return returned | ({"rare": 10.0 * step} if step % 2 == 0 else {}) | ({"late": step} if step >= 3 else {})


EXPECTED = {
    "number": [1.0, 2.0, 3.0, 4.0],
    "array": [(np.arange(6.0).reshape(2, 3) + step).tolist() for step in range(1, STEPS + 1)],
    "both.is": [1.0] * STEPS,
    "both.list": [[1.0, step] for step in range(1, STEPS + 1)],
    "rare": [np.nan, 20.0, np.nan, 40.0],
    "late": [np.nan, np.nan, 3.0, 4.0],
}


def record(folder: RunFolder, steps: int = STEPS) -> ReturnedValues:
    """As the loop does: functions are called before the first step and at the end of each."""
    returned = ReturnedValues(folder)
    for step in range(steps + 1):
        for name, value in values_of(step).items():
            returned.put(step, name, value)
        if step:
            returned.record()
    return returned


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> RunFolder:
    """A run that was killed after 4 steps; not to be changed."""
    path = tmp_path_factory.mktemp("returned")
    folder = make_run(path / "run", make_experiment(path / "experiment"), STEPS)
    record(folder).close()
    return folder


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> Path:
    """The same with its results."""
    path = tmp_path_factory.mktemp("returned")
    folder = make_run(path / "run", make_experiment(path / "experiment"), STEPS)
    record(folder).close()
    assert finalize(recovering.ended_run(folder, folder))
    return folder.path


def assert_expected(returned: dict[str, np.ndarray], steps: int = STEPS) -> None:
    assert returned.keys() == EXPECTED.keys()
    for name, rows in EXPECTED.items():
        np.testing.assert_array_equal(returned[name], rows[:steps], err_msg=name)


def test_a_row_is_of_the_call_at_the_end_of_its_step_and_nan_without_one(ended):
    data = RunData(ended)
    assert_expected(data.returned)
    np.testing.assert_array_equal(data.exchange_time_ms, [5.0, 10.0, 15.0, 20.0])
    with h5py.File(ended / "run.h5") as file:
        assert {*file["transfer"]} == {"array", "both", "late", "number", "rare"}
        assert {*file["transfer/both"]} == {"is", "list"}


def test_they_can_be_read_while_the_run_goes_on(killed):
    assert_expected(RunData(killed.path).returned)


def test_a_recovered_run_has_them_up_to_its_last_whole_step(tmp_path, recover):
    """What a file lacks is not in the results; a run of which the results were cut short is recovered again."""
    folder = make_run(tmp_path / "run", make_experiment(tmp_path / "experiment"), STEPS)
    record(folder, steps=3).close()
    assert recover(folder.path, "--out", tmp_path / "out") == 0
    assert_expected(RunData(tmp_path / "out").returned, steps=3)
    shards = [*folder.shard_folder.iterdir()]
    contents = {path: path.read_bytes() for path in shards}
    assert recover(folder.path) == 0
    folder.shard_folder.mkdir()
    for path, content in contents.items():
        path.write_bytes(content)
    assert recover(folder.path) == 0
    assert_expected(RunData(folder.path).returned, steps=3)


def test_a_run_of_functions_that_return_nothing_has_no_files_and_no_group(tmp_path):
    folder = make_folder("run", str(tmp_path / "run"), tmp_path)
    returned = ReturnedValues(folder)
    returned.record()
    returned.flush()
    returned.close()
    assert folder.returned_files() == []


def test_a_number_before_the_first_step_has_no_row(tmp_path):
    folder = make_folder("run", str(tmp_path / "run"), tmp_path)
    returned = ReturnedValues(folder)
    returned.put(0, "once", 7.0)
    returned.record()
    returned.close()
    with h5py.File(folder.returned_file("once")) as file:
        np.testing.assert_array_equal(file["transfer/once"], [np.nan])


NO_NUMBERS = ["3", object(), [1, [2, 3]], 1j, [None], {}, {"a": "b"}, {3: 1.0}, {"a/b": 1.0}, {"": 1}]


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="must be"):
        recordable(value)


def test_a_shape_that_changes_is_refused(tmp_path):
    returned = ReturnedValues(make_folder("run", str(tmp_path / "run"), tmp_path))
    returned.put(0, "path", np.zeros(3))
    with pytest.raises(ValueError) as caught:
        returned.put(1, "path", np.zeros((2, 3)))
    assert str(caught.value) == (
        "returned an array of shape (2, 3), but before an array of shape (3,): what is recorded keeps its shape"
    )


def test_exports_have_a_column_for_each_number(ended, tmp_path):
    export(str(ended), "csv", str(tmp_path / "csv"))
    with (tmp_path / "csv" / "exchange.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert [row["transfer.number"] for row in rows] == ["1.0", "2.0", "3.0", "4.0"]
    assert [row["transfer.array[1,2]"] for row in rows] == ["6.0", "7.0", "8.0", "9.0"]
    assert [row["transfer.both.list[1]"] for row in rows] == ["1.0", "2.0", "3.0", "4.0"]
    assert [row["transfer.rare"] for row in rows] == ["nan", "20.0", "nan", "40.0"]


def test_nwb_and_neo_have_them(ended, tmp_path):
    pynwb = pytest.importorskip("pynwb")
    export(str(ended), "nwb", str(tmp_path / "run.nwb"))
    with pynwb.NWBHDF5IO(str(tmp_path / "run.nwb"), "r") as file:
        series = file.read().processing["exchange"]["transfer_both.list"]
        np.testing.assert_array_equal(series.data[:], EXPECTED["both.list"])
        assert series.starting_time == 0.005 and series.rate == 200.0
    (signal,) = (each for each in RunData(ended).neo().segments[0].analogsignals if each.name == "transfer")
    assert signal.shape == (STEPS, 12) and signal.t_start.rescale("s") == 0.005


def test_figures_draw_them_also_where_there_are_gaps(ended):
    _, axis = figure.plt.subplots()
    figure.draw_returned(axis, RunData(ended))
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axis.lines}
    figure.plt.close()
    assert drawn["rare"] == [[10.0, 20.0], [20.0, 40.0]]
    assert len(axis.lines) == 12
