# SPDX-License-Identifier: GPL-2.0-or-later
"""A steered run kept for later: as an experiment that begins as it is, and as a script that does the same again."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

import cosim
from cosim.devices.poisson import PoissonPort
from cosim.errors import ConfigurationError
from cosim.experiment.config import load as load_experiment
from cosim.experiment.usercode import load_module
from cosim.record.commands import Obeyed
from cosim.results import saved
from cosim.transfer import TransferFunctions

SETTINGS = {"brain.virtual_processes": 1, "transfer.on_error": "disable", "record.spikes": ["left_eye", "left_motor"]}
FAILING = "def fail(t_ms):\n    if t_ms > 70:\n        raise ValueError('too late')\n"
DRIVE = "def drive(wheels):\n    wheels.left_rad_s = wheels.right_rad_s = 3.0\n"


@pytest.fixture(scope="module")
def steered(tmp_path_factory):
    """The results of a run to which much was done; the text of its functions at the end; and it again, by a script."""
    folder = tmp_path_factory.mktemp("saved")
    with cosim.start("braitenberg", ranks=1, set=SETTINGS, steps=20, out=folder / "run") as run:
        run.transfer.add(FAILING)
        run.step(2)
        run.transfer["see"].disable()
        run.transfer["see"].edit("def see(left_light):\n    left_light.rate_hz = 9.0\n")
        run.transfer["drive"].edit(DRIVE)
        run.ports["right_light"].hold(rate_hz=800.0)
        run.population("left_motor").set(V_th=-52.0)
        run.scale_weights("left_eye", "right_motor", 0.5)
        run.set_protocol(light_m=[1.0, 2.0, 0.8])
        run.step(2)
        run.send({"command": "set_port", "port": "protocol", "attribute": "light_m", "value": [2.0, 3.0, 0.8]})
        run.step(3)
        run.save(folder / "live.py")
        text = run.transfer.text
        assert run.transfer["fail"].state == "failed"
        run.reset(seed=4)
        results = cosim.load(run.earlier[-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        results.save("again.py")
        found = {}
        exec(compile((folder / "again.py").read_text(), "again.py", "exec"), found)
    return SimpleNamespace(folder=folder, results=results, text=text, again=found["results"])


@pytest.mark.starts
@pytest.mark.wheel
def test_a_saved_script_does_the_same_again(steered):
    first, again = steered.results, steered.again
    assert len(again.exchange_time_ms) == 7
    for name, values in first.stimulus.items():
        assert again.stimulus[name].tolist() == values.tolist()
    assert first.stimulus["left_light"][-1] > 9.0 and first.stimulus["right_light"][-1] == 800.0
    assert again.body["light_position_m"][-1].tolist() == [2.0, 3.0, 0.8]
    for name, (times_ms, node_ids) in first.spikes.items():
        assert again.spikes[name].timestamps_ms.tolist() == times_ms.tolist()
        assert again.spikes[name].node_ids.tolist() == node_ids.tolist()
    live = (steered.folder / "live.py").read_text()
    assert (steered.folder / "again.py").read_text() == live, "the reset ended the run, and nothing more"


@pytest.mark.starts
@pytest.mark.wheel
def test_a_saved_experiment_has_functions_and_protocol_as_they_were_last(steered):
    steered.results.save(steered.folder / "experiment")
    text = (steered.folder / "experiment" / "transfer.py").read_text()
    assert text == steered.text and "# def fail(" in text and "# def see(" in text and DRIVE in text
    again = load_experiment(str(steered.folder / "experiment"), ())
    assert again.config.protocol.light_m == (2.0, 3.0, 0.8) and [*again.config.record.spikes] == [
        "left_eye",
        "left_motor",
    ]
    with pytest.raises(ConfigurationError, match="experiment: already there; must be new"):
        steered.results.save(steered.folder / "experiment")


COMMANDS = [
    Obeyed(1, 0.0, "", {"command": "set_port", "port": "protocol", "attribute": "a", "value": 1, "hold": True}),
    Obeyed(1, 0.0, "", {"command": "set_port", "port": "protocol", "attribute": "a", "value": 2}),
    Obeyed(1, 0.0, "", {"command": "set_port", "port": "left_light", "attribute": "a", "value": 3}),
    Obeyed(1, 0.0, "", {"command": "set_protocol", "key": "b", "value": None}),
    Obeyed(5, 0.0, "", {"command": "release_port", "port": "protocol", "attribute": "a"}),
    Obeyed(5, 0.0, "", {"command": "set_protocol", "key": "c", "value": "text"}),
]


def test_the_protocol_is_what_commands_made_of_it():
    assert saved._protocol({"a": 0, "b": 5}, COMMANDS[:2]) == {"a": 1, "b": 5}, "what is held is set again"
    assert saved._protocol({"a": 0, "b": 5}, COMMANDS) == {"a": 1, "c": "text"}
    later = Obeyed(5, 0.0, "", COMMANDS[1].what)
    assert saved._protocol({"a": 0}, [*COMMANDS, later]) == {"a": 2, "c": "text"}


def test_a_run_with_a_loop_of_its_own_is_no_script(tmp_path):
    run = SimpleNamespace(
        folder=SimpleNamespace(path=tmp_path), commands=[Obeyed(3, 0.0, "", {"command": "drive", "name": "/x"})]
    )
    with pytest.raises(ConfigurationError, match="a loop of another program took part in the run"):
        saved.as_script(run, tmp_path / "again.py")
    assert not (tmp_path / "again.py").exists()


def test_numbers_that_are_not_finite_are_python_too():
    assert [eval(saved._python(value)) for value in (float("inf"), -1.5, [1, 2], "x")] == [
        float("inf"),
        -1.5,
        [1, 2],
        "x",
    ]


FILE = '''"""Of an experiment."""

from cosim import transfer_function


@transfer_function
def one(calls):
    calls.append("one")


@transfer_function(priority=2)
def two(calls):
    calls.append("two")


@transfer_function(every_ms=40)
def three(calls, step):
    calls.append("three")
    if step > 400:
        raise ValueError("too late")
'''
MARKS = ["", "@transfer_function\n", "@transfer_function(priority=1)\n", "@transfer_function(every_ms=60)\n"]
NAMES = ["one", "two", "three", "four", "five"]


@pytest.mark.parametrize("seed", range(20))
def test_the_text_that_is_kept_does_what_the_run_does_after_any_commands(tmp_path, seed):
    """Calls of both are the same, step by step: order, marks, and what is switched off or has failed."""
    draw, kept = random.Random(seed), []
    (tmp_path / "transfer.py").write_text(FILE)
    ports = {"calls": [], "drive": PoissonPort("drive", [0.0])}
    module = load_module(tmp_path / "transfer.py")
    functions = TransferFunctions(module, ports, 20.0, on_error="disable", keep=kept.append)
    assert not kept
    for number in range(12):
        name = draw.choice(NAMES)
        text = f"{draw.choice(MARKS)}def {name}(calls):\n    calls.append('{name} {number}')\n"
        action, *arguments = draw.choice(
            [("add", text), ("edit", name, text), ("remove", name), ("disable", name), ("enable", name), ("reset",)]
        )
        try:
            getattr(functions, action)(*arguments)
        except ValueError:
            continue
        functions.apply(60 * number)
        (tmp_path / f"{number}.py").write_text(kept[-1])
        again = TransferFunctions(load_module(tmp_path / f"{number}.py"), ports, 20.0, on_error="disable")
        assert again.names == functions.names
        assert calls_of(again, ports, 60 * number) == calls_of(functions, ports, 60 * number)


def calls_of(functions, ports, first):
    ports["calls"].clear()
    for step in range(first, first + 13):
        functions.apply(step)
    return [*ports["calls"]]
