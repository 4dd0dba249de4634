# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer functions: found by their mark, bound to ports by name, rehearsed, called in order."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cosim.devices.poisson import PoissonPort
from cosim.errors import ConfigurationError
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
