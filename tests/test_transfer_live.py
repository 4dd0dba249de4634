# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer functions that are changed while a run goes on, and ports that are set from outside."""

from __future__ import annotations

import traceback
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from cosim.body import kinds
from cosim.devices.poisson import PoissonPort
from cosim.devices.resolve import suppose
from cosim.experiment.config import load
from cosim.experiment.usercode import load_module
from cosim.plan import spare_ports
from cosim.record.folder import make_folder
from cosim.record.returned import ReturnedValues
from cosim.table import Table
from cosim.transfer import TransferFunctions, check, wanted_ports

STEP_MS = 20.0
FILE = '''"""Of an experiment."""

from __future__ import annotations

from cosim import transfer_function, variable

GAIN, seen = 2.0, []


def scaled(value):
    return GAIN * value


def tuned(value):
    global GAIN
    GAIN = value


@transfer_function
def excite(drive, t_ms, total=variable(1.0), limit=variable(5, shared="limit")):
    """More and more."""
    total.value += 1.0
    drive.rate_hz = scaled(total.value)


# Behind it.
@transfer_function(priority=-1)
def look(calls, drive, step):
    calls.append((step, drive.rate_hz))
'''


class Protocol(Table):
    rate_hz: float = Field(3.0, ge=0)
    steps: tuple[int, ...] = ()


class Port:
    """Two commands and what is felt."""

    __slots__ = ("_felt", "currents_pa", "gain", "names")

    def __init__(self) -> None:
        self.currents_pa, self._felt, self.names, self.gain = np.zeros(2), np.ones(2), ("a", "b"), 1.0

    @property
    def felt(self) -> np.ndarray:
        view = self._felt.view()
        view.flags.writeable = False
        return view


class Run:
    """Transfer functions on ports of which all values can be seen."""

    def __init__(self, folder: Path, text: str = FILE, **settings: object) -> None:
        self.folder, self.stimulus = folder, np.zeros(2)
        if text:
            (folder / "transfer.py").write_text(text)
            self.module = load_module(folder / "transfer.py")
        else:
            self.module = type(np)("transfer")
        self.ports = {
            "drive": PoissonPort("drive", self.stimulus[:1]),
            "other": PoissonPort("other", self.stimulus[1:]),
            "calls": [],
            "limb": Port(),
            "protocol": Protocol(),
        }
        sources = {"drive": self.stimulus[:1], "other": self.stimulus[1:]}
        self.functions = TransferFunctions(self.module, self.ports, STEP_MS, sources=sources, **settings)

    def steps(self, *steps: int) -> list:
        """What `look` saw in these steps."""
        self.ports["calls"].clear()
        for step in steps:
            self.functions.apply(step)
        return [*self.ports["calls"]]

    def state(self) -> tuple:
        """Everything that a refused command must leave as it was."""
        functions, module = self.functions, {k: v for k, v in vars(self.module).items() if not k.startswith("__")}
        sources = {name: functions.source(name) for name in functions.states}
        values = deepcopy([self.ports[name] for name in ("calls", "protocol")]), self.stimulus.tolist(), functions.held
        return functions.names, functions.states, sources, functions.text(), values, repr(module)


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(tmp_path)


def refusal(run: Run, command: str, *arguments: object) -> str:
    """The message of a command that is refused, in one line, and has changed nothing."""
    before = run.state()
    with pytest.raises(ValueError) as caught:
        getattr(run.functions, command)(*arguments)
    assert run.state() == before
    message = str(caught.value)
    assert message and "\n" not in message
    return message


EDITED = """
@transfer_function
def excite(drive, random, total=variable(100.0), new=variable(7.0)):
    drive.rate_hz = 1000 * scaled(total.value) + new.value + 0 * random.random()
"""


def test_an_edit_sees_the_module_keeps_its_place_and_its_variables(run):
    assert run.steps(0, 1) == [(0, 4.0), (1, 6.0)]
    run.functions.edit("excite", EDITED)
    assert run.functions.names == ["excite", "look"]
    assert run.steps(2) == [(2, 6007.0)], "total is 3.0 still, new begins"
    run.module.GAIN = 1.0
    assert run.steps(3) == [(3, 3007.0)], "constants are those of the module"
    run.functions.reset()
    assert run.steps(4) == [(4, 100007.0)], "a reset gives what the new text begins with"


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("total=variable(9)", 3.0),
        ("total=variable('text')", "text"),
        ("total=variable([9.0])", [9.0]),
        ("total=variable(9.0, shared='total')", 9.0),
        ("sum=variable(9.0)", 9.0),
    ],
)
def test_a_variable_of_another_name_or_kind_begins_anew(run, parameter, value):
    run.steps(0, 1)
    name = parameter.partition("=")[0]
    run.functions.edit("excite", f"def excite(calls, {parameter}):\n    calls.append({name}.value)\n")
    assert run.steps(2)[0] == value


def test_a_text_without_a_decorator_keeps_the_mark_that_was_there(run):
    run.functions.edit("look", "def look(calls, step):\n    calls.append(-step)\n")
    assert run.functions.names == ["excite", "look"] and run.steps(3) == [-3]
    assert run.functions.source("look").startswith("@transfer_function(priority=-1)\ndef look")
    run.functions.edit("look", "@transfer_function(priority=1, every_ms=40)\ndef look(calls, step): calls.append(step)")
    assert run.functions.names == ["look", "excite"] and run.steps(3, 4) == [4]


ADDED = """
@transfer_function
def add_one(drive, log):
    drive.rate_hz += 1
"""


def test_an_added_function_is_called_by_priority_and_else_last(run):
    assert run.functions.add(ADDED) == "add_one"
    assert run.functions.names == ["excite", "add_one", "look"]
    assert run.steps(0) == [(0, 5.0)]
    run.functions.add("def add_two(drive, t_ms=0):\n    drive.rate_hz += 2")
    assert run.functions.names == ["excite", "add_one", "add_two", "look"]
    assert run.functions.add("@transfer_function(priority=2)\ndef early(): pass") == "early"
    assert run.functions.names[0] == "early"


def test_a_function_can_be_added_where_there_was_no_file(tmp_path):
    run = Run(tmp_path, text="")
    assert run.functions.text() == ""
    run.functions.add(ADDED.replace("log", "log, total=variable(3)"))
    assert run.steps(0) == [] and run.stimulus[0] == 1.0
    assert run.functions.text().startswith("from cosim import transfer_function, variable\n")


def test_a_removed_function_is_forgotten_and_begins_anew(run):
    run.steps(0, 1)
    source = run.functions.source("excite")
    run.functions.remove("excite")
    assert run.functions.names == ["look"] and run.steps(2) == [(2, 6.0)], "what it wrote stays"
    run.functions.add(source)
    assert run.functions.names == ["excite", "look"] and run.steps(3) == [(3, 4.0)]


def test_a_disabled_function_leaves_what_it_wrote_and_goes_on_where_it_was(run):
    run.steps(0, 1)
    run.functions.disable("excite")
    assert run.functions.states["excite"] == {"state": "disabled", "message": ""}
    assert run.steps(2, 3) == [(2, 6.0), (3, 6.0)]
    run.functions.reset()
    assert run.functions.names == ["look"], "a reset does not enable what was disabled"
    run.functions.enable("excite")
    assert run.steps(4) == [(4, 4.0)]


def test_a_function_can_be_silenced_and_gets_its_rates_back(run):
    run.functions.edit("excite", "def excite(drive, step):\n    drive.rate_hz = 50 if step == 0 else drive.rate_hz")
    run.functions.set_port("other", "rate_hz", 8.0)
    run.steps(0)
    run.functions.disable("excite", silence=True)
    run.functions.disable("excite", silence=True)
    assert run.stimulus.tolist() == [0.0, 8.0], "sources of others stay"
    assert run.steps(1) == [(1, 0.0)]
    run.functions.enable("excite")
    assert run.steps(2) == [(2, 50.0)]


def test_the_text_is_a_file_that_does_the_same(run, tmp_path):
    """Edited in place, added at the end, what was switched off as a comment; all else as it was."""
    run.functions.add(ADDED)
    run.functions.add("def gone(): pass")
    run.functions.remove("gone")
    run.functions.add("def off(drive):\n    drive.rate_hz = 0")
    run.functions.disable("off")
    run.functions.edit("look", "def look(calls, drive, step):\n    calls.append((step, 2 * drive.rate_hz))")
    text = run.functions.text()
    assert text.startswith(FILE[: FILE.index("@transfer_function(priority")])
    assert "# def off(drive):\n#     drive.rate_hz = 0\n" in text and "gone" not in text
    (tmp_path / "again").mkdir()
    again = Run(tmp_path / "again", text)
    assert check(tmp_path / "again" / "transfer.py", {**again.ports, "calls": []}) == []
    assert again.functions.names == run.functions.names
    assert again.steps(0, 1) == run.steps(0, 1) == [(0, 10.0), (1, 14.0)]


def test_lines_are_counted_as_python_does(tmp_path):
    """For which a form feed, or a separator of lines in a text, ends none."""
    text = FILE.replace("More and more", "More\fand\u2028more")
    run = Run(tmp_path, text)
    run.functions.edit("look", "def look(calls, step):\r\n    calls.append(step)\r\n")
    assert run.functions.text() == text[: text.index("@transfer_function(pri")] + run.functions.source("look")
    assert "line 2" in refusal(run, "edit", "look", "'\f'\nx = = 1")


MADE = """
from cosim import transfer_function
def make(side):
    @transfer_function
    def follow(calls): calls.append(side)
    return follow
left, middle, right = make("left"), make("middle"), make("right")
"""


def test_functions_that_stand_nowhere_by_themselves_are_edited_and_removed_too(tmp_path):
    run = Run(tmp_path, MADE)
    assert run.functions.source("left").startswith("@transfer_function\ndef follow(calls)")
    run.functions.edit("left", "def left(calls): calls.append('west')")
    run.functions.remove("middle")
    run.functions.add("def middle(calls): calls.append('new')")
    assert run.steps(0) == ["west", "right", "new"]
    (tmp_path / "again").mkdir()
    assert Run(tmp_path / "again", run.functions.text()).steps(0) == ["west", "right", "new"]
    run.functions.disable("right")
    (tmp_path / "off").mkdir()
    assert Run(tmp_path / "off", run.functions.text()).steps(0) == ["west", "new"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def excite(drive:\n    pass", "line 1: '(' was never closed"),
        ("\n\ndef excite(drive):\n  x = = 3", "line 4: invalid syntax"),
        ("", "the text must be that of one function"),
        ("x = 3", "line 1: the text must be that of one function"),
        ("def excite(): pass\ndef two(): pass", "line 2: the text must be that of one function"),
        ("def excite():\n    yield", "must be a plain function, without yield and async"),
        ("async def excite(): pass", "must be a plain function"),
        ("def other(): pass", "excite: the text must define it, but defines other"),
        ("def excite(driv): pass", "excite: unknown port 'driv'; did you mean drive?"),
        ("def excite(drive):\n    drive.rate = 3", "excite: AttributeError in line 2"),
        ("def excite(drive):\n    seen.append(1)\n    drive.rate_hz = -1", "ValueError in line 3: drive.rate_hz = -1"),
        ("def excite():\n    global GAIN\n    GAIN = 9\n    raise SystemExit(3)", "SystemExit in line 4: 3"),
        ("def excite(calls):\n    calls.append(1)\n    1 / 0", "ZeroDivisionError in line 3"),
        ("def excite():\n    tuned(9.0)\n    assert scaled(1) == 1", "AssertionError in line 3"),
        ("def excite(total=variable(0.0)):\n    total.value = 77\n    total.x", "AttributeError in line 3"),
        ("def excite(): return 'text'", "excite: returned 'text': must be a number, an array of numbers"),
        ("@transfer_function(every_ms=30)\ndef excite(): pass", "every_ms = 30: must be a multiple"),
        ("@transfer_function(often=3)\ndef excite(): pass", "line 1: TypeError"),
        ("@staticmethod\ndef excite(): pass", "excite: its decorators must mark it"),
        ("def excite(x=missing): pass", "line 1: NameError: name 'missing' is not defined"),
        ("def excite(x=variable(6, shared='limit'), drive=1): pass\n", None),
        ("def excite(\0): pass", "null bytes"),
        ("(" * 3000, "too many nested parentheses"),
        (3, "3: must be the text of a function"),
    ],
)
def test_an_edit_that_cannot_act_is_refused_with_its_line_and_leaves_everything(run, text, message):
    run.steps(0)
    if message is None:
        run.functions.edit("excite", text)  # nobody else shares it
    else:
        assert message in refusal(run, "edit", "excite", text)
        assert run.steps(1) == [(1, 6.0)]


def test_what_cannot_be_added_or_is_not_there_is_refused(run):
    assert "there already; edit it" in refusal(run, "add", "def excite(): pass")
    for taken in ("scaled", "GAIN", "summarize"):
        assert f"{taken}: must be another name" in refusal(run, "add", f"def {taken}(): pass")
    message = "new: x = variable(6, shared='limit'): must begin as in excite, which has variable(5, shared='limit')"
    assert refusal(run, "add", "def new(x=variable(6, shared='limit')): pass") == message
    for command in ("remove", "disable", "enable", "source"):
        assert "no transfer function is called 'exite'; did you mean excite?" in refusal(run, command, "exite")
    assert "no transfer function is called 'exite'" in refusal(run, "edit", "exite", "def exite(): pass")
    assert "no transfer function is called ['a']" in refusal(run, "enable", ["a"])


def test_what_returns_another_shape_than_before_is_refused(tmp_path):
    returned = ReturnedValues(make_folder("run", str(tmp_path / "run"), tmp_path))
    run = Run(tmp_path, returned=returned)
    run.functions.edit("excite", "def excite(): return {'a': 1.0, 'b': [1, 2]}")
    run.steps(0)
    message = refusal(run, "edit", "excite", "def excite(): return 3")
    shapes = "a: a number, b: an array of shape (2,)"
    assert message == f"excite: returned a number, but before {shapes}: what is recorded keeps its shape"
    run.functions.edit("excite", "def excite(): return {'b': [3, 2], 'a': 0}")


def test_what_cannot_be_rehearsed_is_refused(run):
    run.functions.edit("look", "def look(calls, log, total=variable(None)):\n    total.value = (each for each in ())")
    run.steps(0)
    message = "no rehearsal, as a variable holds what cannot be copied: cannot pickle 'generator' object"
    assert refusal(run, "edit", "excite", "def excite(): pass") == message


def test_tracebacks_show_the_lines_of_the_text_that_was_written(run):
    run.functions.edit("excite", "def excite(step):\n    if step == 2:\n        raise ValueError('late')  # here\n")
    with pytest.raises(ValueError) as caught:
        run.steps(1, 2)
    told = "".join(traceback.format_exception(caught.value))
    assert "raise ValueError('late')  # here" in told and "line 3, in excite" in told


def test_an_edit_enables_a_function_that_had_failed(tmp_path):
    run = Run(tmp_path, on_error="disable")
    run.functions.edit("excite", "def excite(step):\n    if step == 2:\n        raise ValueError('late')\n")
    run.steps(1, 2)
    assert run.functions.states["excite"] == {"state": "failed", "message": "ValueError in line 3: late"}
    run.functions.edit("excite", "def excite(drive):\n    drive.rate_hz = 9\n")
    assert run.functions.states["excite"]["state"] == "enabled"
    assert run.steps(3) == [(3, 9.0)]


def test_ports_are_set_until_a_function_sets_them_or_held_against_it(run):
    run.functions.set_port("drive", "rate_hz", 70.0)
    assert run.stimulus[0] == 70.0
    assert run.steps(0) == [(0, 4.0)]
    run.functions.hold_port("drive", "rate_hz", 80.0)
    assert run.stimulus[0] == 80.0 and run.functions.held == {"drive.rate_hz": 80.0}
    run.steps(1, 2)
    assert run.stimulus[0] == 80.0, "it is written again after all functions"
    run.functions.release_port("drive", "rate_hz")
    assert run.stimulus[0] == 80.0 and run.functions.held == {}
    assert run.steps(3) == [(3, 10.0)]


@pytest.mark.parametrize(
    ("port", "attribute", "value", "stands"),
    [
        ("limb", "currents_pa", [1.0, 2.0], [1.0, 2.0]),
        ("limb", "currents_pa", 3, [3.0, 3.0]),
        ("limb", "gain", 2.5, 2.5),
        ("protocol", "rate_hz", 8, 8.0),
        ("protocol", "steps", [1, 2], (1, 2)),
    ],
)
def test_all_that_can_be_written_can_be_set(run, port, attribute, value, stands):
    array = run.ports["limb"].currents_pa
    run.functions.set_port(port, attribute, value)
    now = getattr(run.ports[port], attribute)
    assert (now.tolist() if isinstance(now, np.ndarray) else now) == stands
    assert run.ports["limb"].currents_pa is array, "ports show the same arrays for the whole run"


@pytest.mark.parametrize(
    ("port", "attribute", "value", "message"),
    [
        ("driv", "rate_hz", 1.0, "unknown port 'driv'; did you mean drive?"),
        ("drive", "rate", 1.0, "drive has no 'rate'; did you mean rate_hz?"),
        ("drive", "rate_hz", -1.0, "drive.rate_hz = -1.0: must be a finite number"),
        ("drive", "rate_hz", "much", "drive.rate_hz = 'much': "),
        ("drive", "name", "other", "drive.name = 'other': it can only be read"),
        ("limb", "felt", [0, 0], "it can only be read"),
        ("limb", "names", ["c"], "it can only be read"),
        ("drive", "rate_hz", 10**400, "too large"),
        ("limb", "gain", "much", "must be one number"),
        ("limb", "gain", [1.0], "must be one number"),
        ("limb", "currents_pa", [1.0, None], "must be a finite number, or a list of them"),
        ("limb", "currents_pa", [1.0, np.nan], "must be a finite number, or a list of them"),
        ("limb", "currents_pa", [1, 2, 3], "could not broadcast"),
        ("protocol", "rate_hz", -1, "greater than or equal to 0"),
        ("protocol", "rate_hz", True, "must not be true or false"),
        (["a"], "rate_hz", 1.0, "unknown port ['a']"),
        ("drive", 3, 1.0, "drive has no 3"),
    ],
)
def test_what_cannot_be_set_is_refused(run, port, attribute, value, message):
    for command in ("set_port", "hold_port"):
        told = refusal(run, command, port, attribute, value)
        assert message in told and told.count(" = ") <= 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
WORDS = st.sampled_from([*EDITED, "\n    ", "def ", "return", "drive", "look"]) | st.text(max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    command=st.sampled_from(["add", "edit", "enable", "remove", "set_port", "hold_port", "release_port"]),
    words=st.lists(WORDS, max_size=12),
    name=st.sampled_from(["excite", "drive", "limb", "protocol"]) | JSON,
    attribute=st.sampled_from(["rate_hz", "currents_pa", "steps", "felt"]) | JSON,
    value=JSON,
)
def test_whatever_is_asked_for_is_done_or_refused_in_one_line(run, command, words, name, attribute, value):
    """What is refused has changed nothing."""
    text = f"def excite({''.join(words)}" if command == "edit" else "".join(words)
    arguments = {"add": [text], "edit": [name, text], "enable": [name], "remove": [name]}
    arguments |= {"set_port": [name, attribute, value], "hold_port": [name, attribute, value]}
    before, told = run.state(), None
    try:
        getattr(run.functions, command)(*arguments.get(command, [name, attribute]))
    except ValueError as error:
        told = str(error)
    assert told is None or ("\n" not in told and run.state() == before)


def test_only_what_is_held_can_be_released(run):
    run.functions.hold_port("other", "rate_hz", 1.0)
    message = refusal(run, "release_port", "drive", "rate_hz")
    assert message == "drive.rate_hz is not held; held: other.rate_hz"


CHANGED_SETTINGS = {"braitenberg": ("light_m", (1.0, 2.0, 0.5)), "arm_reach": ("then_ms", 5.0)}


@pytest.mark.parametrize(("name", "changed"), CHANGED_SETTINGS.items())
def test_functions_of_an_experiment_can_be_edited_on_its_own_ports(name, changed):
    experiment = load(str(REPOSITORY / "models" / name))
    wanted = wanted_ports(experiment.transfer_module)
    devices = suppose(experiment.config.devices, kinds.make_ports(experiment.body), wanted)
    step_ms, file = experiment.config.clock.coupling_step_ms, experiment.folder / "transfer.py"
    spare = partial(spare_ports, experiment, devices)
    functions = TransferFunctions(experiment.transfer_module, spare(), step_ms, spare_ports=spare)
    assert functions.text() == file.read_text()
    functions.apply(0)
    functions.set_port("protocol", *changed)
    assert getattr(experiment.config.protocol, changed[0]) != changed[1], "another run of it knows nothing of this"
    for function in functions.names:
        functions.edit(function, functions.source(function))
    assert functions.text() == file.read_text()
    functions.apply(1)
