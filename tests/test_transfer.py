# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer functions: found by their mark, bound to ports by name, rehearsed, called in order."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from killed_run import make_experiment

from cosim.devices.poisson import PoissonPort
from cosim.errors import ConfigurationError
from cosim.experiment.config import load
from cosim.experiment.usercode import load_module
from cosim.transfer import TransferFunctions, check

HEAD = "from cosim import transfer_function\n"


class Muscles:
    """A port with a command of eight numbers."""

    def __init__(self) -> None:
        self.excitation = np.zeros(8)


@pytest.fixture
def ports() -> dict[str, object]:
    return {"engc": SimpleNamespace(voltage_mv=1.5), "muscles": Muscles(), "calls": []}


@pytest.fixture
def write(tmp_path):
    """Write a transfer.py with this text and return its path."""

    def to_file(text: str) -> Path:
        path = tmp_path / "transfer.py"
        path.write_text(HEAD + text)
        return path

    return to_file


def test_functions_are_called_in_the_order_of_the_file_with_time_and_step(write, ports):
    file = write(
        "@transfer_function\ndef zeta(t_ms, step, calls): calls.append(('zeta', t_ms, step))\n"
        "def helper(calls): calls.append('helper')\n"
        "@transfer_function\ndef alpha(calls, step): calls.append(('alpha', step))\n"
    )
    transfer = TransferFunctions(load_module(file), ports, coupling_step_ms=20.0)
    assert transfer.names == ["zeta", "alpha"]
    transfer.apply(0)
    transfer.apply(3)
    assert ports["calls"] == [("zeta", 0.0, 0), ("alpha", 0), ("zeta", 60.0, 3), ("alpha", 3)]


def test_what_a_function_writes_is_seen_by_the_next(write, ports):
    file = write(
        "@transfer_function\ndef first(engc, muscles): muscles.excitation[2] = engc.voltage_mv\n"
        "@transfer_function\ndef second(muscles, calls): calls.append(float(muscles.excitation[2]))\n"
    )
    TransferFunctions(load_module(file), ports, 20.0).apply(1)
    assert ports["calls"] == [1.5]


def test_parameters_with_a_default_are_left_alone(write, ports):
    file = write("@transfer_function\ndef scale(calls, gain=2.5, muscels=None):\n    calls.append((gain, muscels))\n")
    assert check(file, ports) == []
    ports["calls"].clear()
    TransferFunctions(load_module(file), ports, 20.0).apply(0)
    assert ports["calls"] == [(2.5, None)]


def test_every_unknown_port_is_named_with_file_function_and_the_nearest(write, ports):
    file = write("@transfer_function\ndef one(encg, t_ms): pass\n@transfer_function\ndef two(muscels, tms): pass\n")
    problems = check(file, ports)
    assert len(problems) == 3
    assert problems[0].startswith(f"{file}: one: unknown port 'encg'; did you mean engc?")
    assert "two: unknown port 'muscels'; did you mean muscles?" in problems[1]
    assert "two: unknown port 'tms'; did you mean t_ms?" in problems[2]


def test_the_rehearsal_meets_wrong_shapes_and_misspelt_attributes_of_all_functions(write, ports):
    file = write(
        "@transfer_function\ndef one(muscles):\n    muscles.excitation[:] = [1, 2, 3]\n"
        "@transfer_function\ndef two(engc):\n    engc.voltage\n"
    )
    problems = check(file, ports)
    assert len(problems) == 2
    assert f"{file}: one: ValueError in line 4: could not broadcast" in problems[0]
    assert "two: AttributeError in line 7" in problems[1]


def test_the_rehearsal_names_the_line_of_the_file_for_errors_inside_of_ports(write, ports):
    ports["drive"] = PoissonPort("drive", np.zeros(1))
    file = write(
        "@transfer_function\ndef negative(drive):\n    drive.rate_hz = -3\n"
        "@transfer_function\ndef misspelt(drive):\n    drive.rate = 3\n"
    )
    negative, misspelt = check(file, ports)
    assert "negative: ValueError in line 4: drive.rate_hz = -3" in negative
    assert "misspelt: AttributeError in line 7" in misspelt


def test_a_function_that_exits_is_a_problem(write, ports):
    file = write("import sys\n@transfer_function\ndef leave():\n    sys.exit(3)\n")
    assert check(file, ports) == [f"{file}: leave: SystemExit in line 5: 3"]


def test_the_rehearsal_leaves_no_trace_in_the_module(write, ports):
    file = write(
        "count = 0\n@transfer_function\ndef counting(calls):\n"
        "    global count\n    count += 1\n    calls.append(count)\n"
    )
    assert check(file, ports) == []
    ports["calls"].clear()
    transfer = TransferFunctions(load_module(file), ports, 20.0)
    transfer.apply(0)
    transfer.apply(1)
    assert ports["calls"] == [1, 2]


@pytest.mark.parametrize("kind", ["def lazy(): yield", "async def lazy(): pass", "async def lazy(): yield"])
def test_a_function_whose_call_would_do_nothing_is_refused(write, ports, kind):
    with pytest.raises(ConfigurationError, match="lazy: a transfer function must be a plain function"):
        check(write(f"@transfer_function\n{kind}\n"), ports)


def test_a_file_in_which_no_function_is_marked_is_refused_unless_it_only_sums_up(write, ports):
    (problem,) = check(write("def drive(muscles): pass\n"), ports)
    assert "no function is marked with @transfer_function" in problem and "there are drive" in problem
    assert check(write("class Protocol: pass\n"), ports) == []
    assert check(write("def mean(run): pass\ndef summarize(run): pass\n"), ports) == []


def test_an_exception_in_the_run_comes_through(write, ports):
    file = write("@transfer_function\ndef late(step):\n    if step == 2:\n        raise KeyError('lost')\n")
    assert check(file, ports) == []
    transfer = TransferFunctions(load_module(file), ports, 20.0)
    transfer.apply(1)
    with pytest.raises(KeyError, match="lost"):
        transfer.apply(2)


def package(folder: Path, **files: str) -> Path:
    """A folder with these files; returns the path of its transfer.py."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(text)
    return folder / "transfer.py"


IMPORTS = """
import helper, tools.gain as gain
from tools import offset
from . import helper as again

@transfer_function
def drive(calls):
    import late
    assert again is helper and late.helper is helper
    helper.count += 1
    calls.append((helper.name, gain.value, offset.value, late.name, helper.count))
"""


def modules(folder: Path, name: str) -> Path:
    helper = f"name, count = '{name}', 0"
    late = f"import helper\nname = 'late {name}'"
    tools = {
        "tools/__init__": "",
        "tools/gain": "value = 2",
        "tools/offset": "from . import gain\nvalue = gain.value + 1",
    }
    return package(folder, transfer=HEAD + IMPORTS, helper=helper, late=late, **tools)


def test_what_lies_beside_can_be_imported_also_late_and_by_two_experiments_with_the_same_names(tmp_path):
    """A rehearsal leaves no trace in what is imported, either."""
    files = [modules(tmp_path / name, name) for name in ("one", "other")]
    ports = [{"calls": []}, {"calls": []}]
    assert [check(file, each) for file, each in zip(files, ports)] == [[], []]
    loaded = [TransferFunctions(load_module(file), each, 20.0) for file, each in zip(files, ports)]
    for transfer in loaded:
        transfer.apply(0)
    assert [each["calls"] for each in ports] == [[(n, 2, 3, f"late {n}", 1)] * 2 for n in ("one", "other")]


def test_what_lies_beside_is_read_again_also_if_it_was_written_within_the_same_second(tmp_path):
    file = package(tmp_path, transfer="import helper\nvalue = helper.value", helper="value = 1")
    assert load_module(file).value == 1
    before = (tmp_path / "helper.py").stat()
    (tmp_path / "helper.py").write_text("value = 2")
    os.utime(tmp_path / "helper.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load_module(file).value == 2


def test_what_lies_beside_is_nothing_for_all_others(tmp_path, monkeypatch):
    """Neither for cosim nor for a package that only the experiment imports; ``nturl2path`` was not imported before."""
    package(tmp_path / "installed", library="import nturl2path\nfile = nturl2path.__file__")
    monkeypatch.syspath_prepend(tmp_path / "installed")
    text = "import json, nturl2path, library\nfound = json.mine, nturl2path.mine, library.file"
    file = package(tmp_path / "mine", transfer=text, json="mine = 1", nturl2path="mine = 2")
    one, two, of_library = load_module(file).found
    assert (one, two) == (1, 2), "as a script that Python runs would find them"
    standard = Path(os.__file__).parent
    assert Path(of_library).parent == standard
    for name in ("json", "nturl2path"):
        assert Path(importlib.import_module(name).__file__).is_relative_to(standard)
    assert not [each for each in sys.path if "mine" in Path(each).parts]


def test_a_network_of_tables_can_import_what_lies_beside_it(tmp_path):
    folder = make_experiment(tmp_path / "experiment")
    text = (folder / "brain/network.py").read_text()
    (folder / "brain/network.py").write_text(text.replace("Unplaced(4)", "Unplaced(sizes.small)") + "import sizes\n")
    (folder / "brain/sizes.py").write_text("small = 7\n")
    assert load(str(folder)).network().sizes == {"E": 7}


def test_an_error_in_what_lies_beside_is_told_with_its_place(tmp_path):
    file = package(tmp_path, transfer="import helper", helper="x = 1\ny = z")
    with pytest.raises(ConfigurationError) as caught:
        load_module(file)
    assert str(caught.value) == f"{file}: NameError: name 'z' is not defined (in {tmp_path / 'helper.py'}, line 2)"
