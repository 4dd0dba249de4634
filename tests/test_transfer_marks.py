# SPDX-License-Identifier: GPL-2.0-or-later
"""When transfer functions are called, what they remember, and what becomes of one that fails."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cosim.errors import ConfigurationError
from cosim.experiment.usercode import load_module
from cosim.transfer import TransferFunctions, check

HEAD = "from cosim import transfer_function, variable\nimport numpy as np\n"
STEP_MS = 20.0


class Contacts:
    """A port with an array and a word."""

    def __init__(self) -> None:
        self.force_n, self.name = np.zeros(3), "contacts"

    def index(self, name: str) -> int:
        return 0


@pytest.fixture
def ports() -> dict[str, object]:
    return {"calls": [], "engc": SimpleNamespace(voltage_mv=0.0), "contacts": Contacts()}


@pytest.fixture
def write(tmp_path):
    def to_file(text: str) -> Path:
        path = tmp_path / "transfer.py"
        path.write_text(HEAD + text)
        return path

    return to_file


@pytest.fixture
def make(write, ports):
    """The functions of a text, on the ports."""
    return lambda text, **settings: TransferFunctions(load_module(write(text)), ports, STEP_MS, **settings)


def steps_of_calls(transfer: TransferFunctions, ports: dict, steps: int) -> list:
    for step in range(steps):
        transfer.apply(step)
    return ports["calls"]


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ("every_ms=60", [0, 3, 6, 9]),
        ("every_ms=20.0", [*range(10)]),
        ("max_hz=50", [*range(10)]),
        ("max_hz=20", [0, 3, 6, 9]),
        ("max_hz=25", [0, 2, 4, 6, 8]),
        ("max_hz=1000", [*range(10)]),
        ("every_ms=40, max_hz=12.5", [0, 4, 8]),
    ],
)
def test_a_function_is_called_as_often_as_its_mark_says(make, ports, mark, expected):
    transfer = make(f"@transfer_function({mark})\ndef rare(calls, step): calls.append(step)\n")
    assert steps_of_calls(transfer, ports, 10) == expected


@pytest.mark.parametrize("step_ms", [0.1, 0.7, 4.7, 20.0])
def test_multiples_of_a_coupling_step_are_met_whatever_decimals_it_has(write, ports, step_ms):
    text = f"@transfer_function(every_ms={3 * step_ms})\ndef rare(calls, step): calls.append(step)\n"
    text += f"@transfer_function(max_hz={1000 / (3 * step_ms)})\ndef rarer(calls, step): calls.append(-step)\n"
    file = write(text)
    assert check(file, ports, step_ms) == []
    ports["calls"].clear()
    steps_of_calls(TransferFunctions(load_module(file), ports, step_ms), ports, 13)
    assert ports["calls"] == [0, 0, 3, -3, 6, -6, 9, -9, 12, -12]


@pytest.mark.parametrize("when", ["engc.voltage_mv", "contacts.force_n"])
def test_a_function_is_called_when_a_value_is_not_zero(make, ports, when):
    transfer = make(f"@transfer_function(when='{when}')\ndef touched(calls, step): calls.append(step)\n")
    for step, value in enumerate([0.0, 1e-3, 0.0, -2.0]):
        ports["engc"].voltage_mv = ports["contacts"].force_n[1] = value
        transfer.apply(step)
    assert ports["calls"] == [1, 3]


def test_a_port_that_is_a_value_by_itself_may_trigger_and_the_pause_counts_from_calls(make, ports):
    ports["touch"] = np.ones(2)
    transfer = make("@transfer_function(when='touch', max_hz=20)\ndef touched(calls, step): calls.append(step)\n")
    for step, is_touched in enumerate([False, True, True, False, True, True]):
        ports["touch"][:] = is_touched, False
        transfer.apply(step)
    assert ports["calls"] == [1, 4]


def test_functions_of_higher_priority_come_first_and_others_in_the_order_of_the_file(make, ports):
    names = {"one": "", "two": "(priority=1)", "three": "(priority=-0.5)", "four": "(priority=1)", "five": "()"}
    text = "".join(
        f"@transfer_function{mark}\ndef {name}(calls): calls.append('{name}')\n" for name, mark in names.items()
    )
    transfer = make(text)
    assert transfer.names == ["two", "four", "one", "five", "three"]
    assert steps_of_calls(transfer, ports, 1) == transfer.names


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("every_ms=50", "odd: every_ms = 50: must be a multiple of clock.coupling_step_ms = 20"),
        ("every_ms=10", "odd: every_ms = 10: must be a multiple of clock.coupling_step_ms = 20"),
        ("when='contcts'", "odd: when = \"contcts\": unknown port 'contcts'; did you mean contacts?"),
        ("when='contacts.forc'", "contacts has no 'forc'; did you mean force_n? allowed: force_n, name"),
        ("when='contacts'", 'when = "contacts": must be a number or an array; '),
        ("when='contacts.name'", "must be a number or an array; did you mean contacts.force_n?"),
        ("when='contacts.index'", "contacts has no 'index'"),
    ],
)
def test_a_mark_that_does_not_fit_the_experiment_is_told(write, ports, mark, message):
    (problem,) = check(write(f"@transfer_function({mark})\ndef odd(): pass\n"), ports, STEP_MS)
    assert message in problem


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("every_ms=0", "odd: every_ms = 0: must be a finite number above 0"),
        ("max_hz=-1", "odd: max_hz = -1: must be a finite number above 0"),
        ("every_ms=float('inf')", "every_ms = inf: must be a finite number above 0"),
        ("priority='high'", "priority = 'high': must be a number"),
        ("priority=True", "priority = True: must be a number"),
        ("when=len", "must be the name of a port or of its value, in quotes"),
        ("often=3", "unexpected keyword argument 'often'"),
    ],
)
def test_a_mark_that_makes_no_sense_is_refused_when_the_file_is_loaded(write, ports, mark, message):
    with pytest.raises(ConfigurationError) as caught:
        check(write(f"@transfer_function({mark})\ndef odd(): pass\n"), ports)
    assert message in str(caught.value)


VARIABLES = """
START = np.zeros(2)
@transfer_function
def one(calls, total=variable(0.5), path=variable(START), pair=variable(3, shared="pair"), gain=2.0):
    total.value += gain
    path.value[0] += 1.0
    pair.value += 1
    calls.append(("one", total.value, path.value[0], pair.value))
@transfer_function
def two(calls, total=variable(0.5), both=variable(3, shared="pair")):
    total.value -= 1.0
    both.value *= 2
    calls.append(("two", total.value, both.value))
"""


def test_variables_belong_to_a_function_or_are_shared_by_name_and_a_reset_restores_them(write, ports):
    file = write(VARIABLES)
    assert check(file, ports) == []
    ports["calls"].clear()
    module = load_module(file)
    transfer = TransferFunctions(module, ports, STEP_MS)
    first = [*steps_of_calls(transfer, ports, 2)]
    assert first == [("one", 2.5, 1.0, 4), ("two", -0.5, 8), ("one", 4.5, 2.0, 9), ("two", -1.5, 18)]
    transfer.reset()
    ports["calls"].clear()
    assert steps_of_calls(transfer, ports, 2) == first
    assert not module.START.any(), "initial values are copied"


def test_variables_that_are_shared_must_begin_alike(write, ports):
    text = "@transfer_function\ndef one(x=variable(1.0, shared='s')): pass\n"
    text += "@transfer_function\ndef two(y=variable(2.0, shared='s')): pass\n"
    (problem,) = check(write(text), ports)
    assert "two: y = variable(2.0, shared='s'): must begin as in one, which has variable(1.0, shared='s')" in problem


@pytest.mark.parametrize("slip", ["x.valeu = 3", "x += 1"])
def test_a_variable_that_is_used_without_its_value_is_met_by_the_rehearsal(write, ports, slip):
    (problem,) = check(write(f"@transfer_function\ndef f(x=variable(0.0)):\n    {slip}\n"), ports)
    assert "in line 5" in problem


def test_random_numbers_follow_from_the_seed_and_the_name_and_a_reset_restores_them(make, ports):
    text = "@transfer_function\ndef one(calls, random): calls.append(random.normal(size=2).tolist())\n"
    text += text.replace("one", "two")

    def drawn(seed: int) -> list:
        ports["calls"].clear()
        return [*steps_of_calls(make(text, seed=seed), ports, 2)]

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert first == again
    assert len({str(each) for each in (*first, *other)}) == 8
    transfer = make(text, seed=1)
    steps_of_calls(transfer, ports, 3)
    transfer.reset()
    ports["calls"].clear()
    assert steps_of_calls(transfer, ports, 2) == first


def test_a_reset_forgets_when_a_function_was_called_last(make, ports):
    transfer = make("@transfer_function(max_hz=5)\ndef rare(calls, step): calls.append(step)\n")
    steps_of_calls(transfer, ports, 3)
    transfer.reset()
    transfer.apply(3)
    assert ports["calls"] == [0, 3]


def test_what_a_function_logs_says_step_and_time_and_the_rehearsal_says_nothing(write, ports, caplog, capfd):
    caplog.set_level(logging.INFO, "cosim")
    file = write("@transfer_function\ndef actuate(log):\n    log.info('%d of %s', 3, '100%')\n    log.warning('50%')\n")
    assert check(file, ports) == []
    assert caplog.messages == [] and "%" not in capfd.readouterr().err
    TransferFunctions(load_module(file), ports, STEP_MS).apply(12)
    assert caplog.messages == ["step 12 (240 ms) actuate: 3 of 100%", "step 12 (240 ms) actuate: 50%"]


FAILING = """
@transfer_function
def first(calls, step): calls.append(("first", step))
@transfer_function
def shaky(calls, step, total=variable(0)):
    total.value += 1
    if total.value == 3:
        raise ValueError("too\\nmuch")
    calls.append(("shaky", step))
@transfer_function
def last(calls, step): calls.append(("last", step))
"""


def test_a_function_that_fails_is_switched_off_and_told_if_the_user_chose_so(make, ports, caplog):
    transfer = make(FAILING, on_error="disable")
    calls = steps_of_calls(transfer, ports, 5)
    assert [name for name, step in calls if step == 2] == ["first", "last"], "the others are called in the same round"
    assert [step for name, step in calls if name == "shaky"] == [0, 1]
    assert [step for name, step in calls if name == "last"] == [0, 1, 2, 3, 4]
    assert caplog.messages == ["step 2 (40 ms) shaky: switched off: ValueError in line 10: too much"]
    assert transfer.names == ["first", "last"]
    assert transfer.states["shaky"] == {"state": "failed", "message": "ValueError in line 10: too much"}
    assert transfer.states["first"] == {"state": "enabled", "message": ""}
    transfer.reset()
    assert transfer.names == ["first", "shaky", "last"], "what made it fail is gone, too"


def test_by_default_a_failure_ends_the_round_and_the_run(make, ports):
    transfer = make(FAILING)
    with pytest.raises(ValueError, match="too\nmuch"):
        steps_of_calls(transfer, ports, 5)
    assert ports["calls"][-1] == ("first", 2)


def test_functions_made_by_a_function_have_the_names_of_the_file(make, ports):
    text = "def make(side):\n    @transfer_function\n    def follow(calls): calls.append(side)\n    return follow\n"
    transfer = make(text + "left, right = make('left'), make('right')\n")
    assert transfer.names == ["left", "right"] == steps_of_calls(transfer, ports, 1)
