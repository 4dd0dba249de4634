# SPDX-License-Identifier: GPL-2.0-or-later
"""A run in the hands of a Python program: started, looked at, touched, driven, reset, finished."""

from __future__ import annotations

import datetime
import json
import math
import tomllib
from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim import cli
from cosim.client.known import as_json, settings
from cosim.errors import CommandError, ConfigurationError, RunError
from cosim.experiment.config import load as load_experiment

pytestmark = [pytest.mark.starts, pytest.mark.wheel]

STEPS = 60
EDITED = "def drive(wheels, left_motor, right_motor):\n    wheels.left_rad_s = wheels.right_rad_s = 3.0\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("client") / "run"


@pytest.fixture(scope="module")
def run(folder):
    """One run for all tests here, each of which leaves it paused."""
    with cosim.start("braitenberg", ranks=1, set={"brain.virtual_processes": 1}, steps=STEPS, out=folder) as started:
        yield started


@pytest.fixture
def steer(run, capsys):
    """``cosim steer`` on the run of the module: its exit code and what it printed."""

    def call(*words):
        code = cli.main(["steer", str(run.folder), *map(str, words)])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return call


def test_a_run_to_which_nothing_was_done_can_be_looked_at(run, folder):
    """The first test of all: no command was recorded yet."""
    assert run.commands == cosim.load(folder).commands == []
    assert "<left_light, poisson source of left_eye: rate_hz=0.0" in repr(run.ports)


def test_a_run_stands_before_its_first_step_and_does_as_many_as_it_is_told(run, folder):
    assert (run.folder, run.state, run.steps_done, run.steps) == (folder, "paused", 0, STEPS)
    assert np.isnan(run.body["position_m"]).all() and np.isnan(run.population("left_motor").rate_hz())
    assert run.step(5) == 100.0 == run.t_ms
    assert run.run_until(140.0) == 140.0
    assert (run.state, run.steps_done) == ("paused", 7)
    assert repr(run) == f"<run {folder}: paused, 7 of 60 steps done, 140 ms>"


def test_files_are_complete_up_to_the_step_where_it_stands(run):
    run.step()
    done = run.steps_done
    assert len(run.results.exchange_time_ms) == done and run.results.body["time_ms"][-1] == run.t_ms
    assert run.ports["left_motor"].voltage_mv == run.results.readout["left_motor"][-1] > 0
    assert run.ports["left_light"].rate_hz == run.results.stimulus["left_light"][-1] > 0
    assert run.body.pose.position_m.tolist() == run.results.body["position_m"][-1].tolist()
    assert run.body.contact.touching is False
    everything, last = run.spikes(), run.spikes(last_ms=30)
    for name, spikes in last.items():
        times_ms = everything[name].timestamps_ms
        assert spikes.timestamps_ms.tolist() == times_ms[times_ms > run.t_ms - 30].tolist()
    motor = run.population("left_motor")
    assert motor.rate_hz(last_ms=30) == pytest.approx(len(last["left_motor"].node_ids) / 10 / 0.03)
    part = run.population("left_motor[0:3]")
    assert part.size == 3 and set(part.spikes().node_ids) <= {0, 1, 2}


def test_a_port_is_set_as_in_a_transfer_function_and_acts_in_the_next_step(run):
    run.ports["left_light"].rate_hz = 5000
    assert run.ports["left_light"].rate_hz == 5000.0
    run.step()
    assert run.results.stimulus["left_light"][-1] == 5000.0
    run.step()
    assert run.results.stimulus["left_light"][-1] != 5000.0, "the transfer function sets it again"


@pytest.mark.parametrize(
    ("port", "attribute", "value", "error", "message"),
    [
        ("left_light", "rate", 5.0, AttributeError, "left_light.rate: did you mean rate_hz"),
        ("left_motor", "voltage_mv", 5.0, AttributeError, "left_motor.voltage_mv cannot be set; allowed: none"),
        ("left_light", "rate_hz", -5.0, CommandError, "left_light.rate_hz = -5.0: must be a finite number, 0 or more"),
        ("wheels", "speed_rad_s", 1.0, AttributeError, "cannot be set; allowed: left_rad_s, right_rad_s"),
    ],
)
def test_what_a_port_does_not_take_is_refused(run, port, attribute, value, error, message):
    before = run.steps_done
    with pytest.raises(error, match=message):
        setattr(run.ports[port], attribute, value)
    assert run.steps_done == before


def test_what_is_too_long_for_a_command_is_refused_with_its_size(run):
    with pytest.raises(ValueError, match="^command of 1,.* bytes: at most 1,000,000; transfer functions and a loop"):
        run.mark("x" * 1_000_001)
    assert run.state == "paused"


def test_what_is_not_there_is_said_with_what_is(run):
    with pytest.raises(KeyError, match="port 'left_lights': did you mean left_light"):
        run.ports["left_lights"]
    with pytest.raises(KeyError, match="population 'motor': did you mean"):
        run.population("motor")
    with pytest.raises(AttributeError, match="the body has no port 'legs'; there are wheels, pose"):
        run.body.legs
    with pytest.raises(LookupError, match="wheels.left_rad_s: not recorded"):
        run.body.wheels.left_rad_s
    with pytest.raises(CommandError, match="command = 'jump'"):
        run.send({"command": "jump"})


def test_what_is_shown_in_a_notebook_tells_the_values(run):
    assert "<left_light, poisson source of left_eye: rate_hz=" in repr(run.ports)
    assert "<left_motor, leaky_integrator_alpha sink of left_motor: voltage_mv=" in repr(run.ports)
    assert "wheels: left_rad_s, right_rad_s, speed_rad_s=[" in repr(run.body)
    assert repr(run.population("left_eye")).startswith("<population left_eye: 20 neurons")
    assert {"rate_hz", "hold"} <= set(dir(run.ports["left_light"]))


def test_a_loop_takes_part_in_every_step(run):
    first, seen = run.steps_done, []
    for step in run:
        seen.append((step.number, step.ports["left_motor"].voltage_mv, step.body.pose.position_m.copy()))
        step.ports["left_light"].rate_hz = 1000.0 + step.number
        with pytest.raises(CommandError, match="must wait until the loop of this program has ended"):
            run.mark("inside")
        assert (run.state, run.steps_done, run.t_ms) == ("runs", step.number, step.t_ms)
        assert f"runs, {step.number} of 60 steps done" in repr(run)
        if step.number == first + 4:
            break
    assert [number for number, *_ in seen] == [*range(first, first + 5)]
    assert (run.state, run.steps_done) == ("paused", first + 5), "what was written last acted in one more step"
    results = run.results
    assert results.stimulus["left_light"][first:].tolist() == [1000.0 + number for number in range(first, first + 5)]
    for number, voltage_mv, position_m in seen[1:]:
        row = number * run.clock.substeps - 1
        assert voltage_mv == results.readout["left_motor"][number - 1]
        assert position_m.tolist() == results.body["position_m"][row].tolist()


def test_an_exception_in_a_loop_leaves_the_run_paused(run):
    first = run.steps_done
    with pytest.raises(ZeroDivisionError):
        for _ in run:
            1 / 0
    assert (run.state, run.steps_done) == ("paused", first + 1)


def test_two_programs_on_one_run_see_each_others_commands(run):
    with cosim.attach(run.folder) as other:
        other.mark("from the other")
        other.step()
        assert other.steps_done == run.steps_done
    assert run.state == "paused", "it went on without the other"
    last = [each.what for each in run.commands[-2:]]
    assert last == [{"command": "mark", "text": "from the other"}, {"command": "step", "steps": 1}]


def test_a_transfer_function_is_shown_edited_switched_off_and_refused(run):
    assert [*run.transfer] == ["place_light", "see", "drive"] and "def drive(" in run.transfer["drive"].source
    run.transfer["drive"].edit(EDITED)
    assert run.transfer["drive"].source == f"@transfer_function\n{EDITED}" and EDITED in run.transfer.text
    with pytest.raises(CommandError, match="line 1"):
        run.transfer["drive"].edit("def drive(:")
    with pytest.raises(KeyError, match="transfer function 'drives': did you mean drive"):
        run.transfer["drives"]
    run.transfer["see"].disable()
    assert (run.transfer["see"].state, run.transfer["drive"].state) == ("disabled", "enabled")
    run.ports["left_light"].rate_hz = 1.0
    run.step(2)
    assert run.results.stimulus["left_light"][-2:].tolist() == [1.0, 1.0], "nothing sets it any more"
    run.transfer["see"].enable()
    added = run.transfer.add("def dim(light):\n    light.brightness = 0.5\n")
    run.step(2)
    assert run.body.light.brightness == 0.5
    added.remove()
    assert [*run.transfer] == ["place_light", "see", "drive"]


def test_what_is_held_stays_until_it_is_released(run):
    run.ports["left_light"].hold(rate_hz=123.0)
    run.step(2)
    assert run.results.stimulus["left_light"][-2:].tolist() == [123.0, 123.0]
    run.ports["left_light"].release("rate_hz")
    run.step(2)
    assert run.results.stimulus["left_light"][-1] != 123.0


def test_parameters_of_neurons_are_looked_at(run, steer):
    motor, recorded = run.population("left_motor"), len(run.commands)
    found = motor.get("V_th", "V_m")
    assert found["V_th"].shape == found["V_m"].shape == (motor.size,)
    run.population("left_motor[2:3]").set(V_th=-47.5)
    changed = np.flatnonzero(motor.get("V_th")["V_th"] != found["V_th"])
    assert changed.tolist() == [2] and motor.get("V_th")["V_th"][2] == -47.5
    with pytest.raises(CommandError, match="left_motor: .*V_thh"):
        motor.get("V_thh")
    assert motor.get("V_th")["V_th"][2] == -47.5, "a look that is refused takes nothing back"
    motor.set(V_th=found["V_th"][0])
    assert len(run.commands) == recorded + 2, "to look is not recorded"
    code, printed = steer("--json", "get", "left_motor[2:4]", "V_th")
    assert code == 0 and json.loads(printed) == {"V_th": found["V_th"][2:4].tolist()}


def test_the_shell_looks_at_ports_and_parts(run, steer):
    shown = steer("ports")[1]
    assert "<left_light, poisson source of left_eye: rate_hz=" in shown and "wheels" in shown
    assert steer("get", "left_light.rate_hz") == (0, f"{run.ports['left_light'].rate_hz}\n")
    assert json.loads(steer("get", "pose.position_m", "--json")[1]) == run.body.pose.position_m.tolist()
    assert steer("get", "left_light.rate")[1] == "cosim: left_light.rate: did you mean rate_hz? allowed: rate_hz\n"
    assert steer("get", "wheels.left_rad_s")[0] == 2
    assert steer("parts")[1].split("\n")[:-1] == run.body.parts != []


def test_populations_and_the_protocol_are_shown(run):
    assert [*run.populations] == [*run.built_populations] and run.populations["left_eye"].size == 20
    assert run.protocol == {"light_m": [2.5, 2.5, 0.8]}
    run.set_protocol(light_m=[2.0, 2.5, 0.8])
    assert run.protocol == {"light_m": [2.0, 2.5, 0.8]}


def test_a_function_that_is_disabled_may_silence_its_sources(run, steer):
    run.step()
    run.transfer["see"].disable(silence=True)
    run.step()
    assert run.results.stimulus["left_light"][-1] == 0.0
    run.transfer["see"].enable()
    assert steer("tf", "disable", "see", "--silence")[0] == 0 and run.commands[-1].what["silence"] is True
    run.transfer["see"].enable()


def test_joints_of_a_body_without_any_are_refused(run, steer):
    with pytest.raises(CommandError, match="set_joints: "):
        run.body.set_joints(elbow=1.2)
    assert steer("joints", "elbow=1.2")[1].startswith("cosim: set_joints: ")


def test_what_is_held_of_the_body_is_released_though_it_is_not_recorded(run, steer):
    run.body.wheels.hold(left_rad_s=1.0, right_rad_s=2.0)
    assert "held: wheels.left_rad_s, wheels.right_rad_s" in steer("status")[1]
    run.body.wheels.release("left_rad_s")
    assert steer("release", "wheels.right_rad_s")[0] == 0 and "held" not in steer("status")[1]
    with pytest.raises(CommandError, match=r"wheels.left_rad_s is not held; held: none"):
        run.body.wheels.release("left_rad_s")
    assert steer("release", "vehicle")[1].startswith("cosim: hold: ")


def test_of_several_settings_a_refusal_says_which_act(run, steer):
    set_first = "set already: left_light.rate_hz"
    assert set_first in steer("set", "left_light.rate_hz=1", "left_light.rate=2")[1]
    assert "set already" not in steer("set", "left_light.rate=2", "left_light.rate_hz=1")[1]
    said = len(run.commands)
    with pytest.raises(AttributeError, match="wheels.wrong"):
        run.body.wheels.hold(left_rad_s=1.0, wrong=2.0)
    assert "left_light: must be" in steer("set", "left_light.rate_hz=1", "left_light=2")[1]
    assert len(run.commands) == said, "what can be seen here is seen before anything is sent"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("tf", "show", "nonsense"), "cosim: transfer function 'nonsense': "),
        (("set", "left_light.rate_hz=inf"), "cosim: inf: must be a finite number"),
        (("set", "left_light.rate_hz=[nan]"), "cosim: "),
        (("until", "nan"), "cosim: nan: must be a time such as"),
        (("until", "1e999"), "cosim: 1e999: must be a time such as"),
        (("push", "vehicle", "nans"), "cosim: nans: must be a time such as"),
    ],
)
def test_what_is_typed_wrong_is_one_line(steer, words, told):
    code, printed = steer(*words)
    assert code == 2 and printed.startswith(told) and printed.count("\n") == 1, printed


def test_json_is_printed_wherever_it_is_asked_for(steer, run):
    for words in (("--json", "status"), ("status", "--json")):
        assert json.loads(steer(*words)[1])["transfer_functions"]["see"] == {"state": "enabled", "message": ""}
    assert "def see(" in json.loads(steer("tf", "show", "see", "--json")[1])["source"]
    assert [*json.loads(steer("--json", "tf", "show")[1])] == [*run.transfer]
    assert "transfer_functions: place_light enabled, see enabled, drive enabled\n" in steer("status")[1]


def test_negative_numbers_are_typed_as_numbers_are(steer, run):
    assert steer("push", run_part(steer), 20, "--force", 0, 0, "-1e-3")[0] == 0
    assert run.commands[-1].what["force_n"] == [0, 0, -1e-3]


def run_part(steer) -> str:
    """A part that can be pushed, as the refusal of another names it."""
    return steer("push", "nothing", 20)[1].split("allowed are ")[1].split(",")[0].strip()


def test_the_shell_changes_transfer_functions(steer, run, tmp_path):
    (tmp_path / "dim.py").write_text("def dim(light):\n    light.brightness = 0.25\n")
    assert steer("tf", "add", tmp_path / "dim.py")[0] == 0 and "dim" in run.transfer
    assert "light.brightness = 0.25" in steer("tf", "show", "dim")[1]
    assert steer("tf", "disable", "dim")[0] == 0 and run.transfer["dim"].state == "disabled"
    assert steer("tf", "remove", "dim")[0] == 0 and "dim" not in run.transfer
    code, printed = steer("tf", "edit", "drive", tmp_path / "gone.py")
    assert code == 2 and "gone.py: No such file" in printed


def test_the_shell_does_the_same(steer, run):
    first = run.steps_done
    assert steer("step", 2) == (0, f"step {first + 2}, {20 * (first + 2):g} ms, paused\n")
    code, printed = steer("--json", "status")
    assert code == 0 and json.loads(printed)["steps"] == STEPS
    assert steer("set", "left_light.rate_hz=4000")[0] == 0 and run.ports["left_light"].rate_hz == 4000.0
    assert steer("until", f"{(first + 3) / 50}s")[0] == 0 and run.steps_done == first + 3
    assert steer("mark", "look here")[0] == 0 and run.commands[-1].what["text"] == "look here"
    code, printed = steer("set", "left_light.rate_hz=-1")
    assert code == 2 and printed.startswith("cosim: left_light.rate_hz = -1: must be")
    assert steer("until", "soon") == (2, "cosim: soon: must be a time such as 500ms, 0.5s, or a number of ms\n")
    assert steer("set", "left_light=5")[1].startswith("cosim: left_light: must be PORT.ATTRIBUTE=VALUE")


def test_a_steered_run_is_saved_as_an_experiment_with_its_functions_as_they_are(run, steer, tmp_path):
    assert steer("save", tmp_path / "steered")[0] == 0
    code, printed = steer("save", "--script", tmp_path / "again.py")
    assert code == 2 and "a loop of another program took part in the run" in printed
    text = (tmp_path / "steered" / "transfer.py").read_text()
    assert text == run.transfer.text and EDITED in text and "def dim" not in text
    again = load_experiment(str(tmp_path / "steered"), ())
    assert again.config.clock.steps == STEPS and again.brain.path == tmp_path / "steered" / "brain.py"


def test_at_the_end_it_stands_still_and_finish_gives_results(run, folder):
    run.go()
    assert run.wait(60) == "paused" and run.steps_done == STEPS
    with pytest.raises(CommandError, match="all 60 steps are done"):
        run.step()
    results = run.finish()
    assert results.summary["steps"] == STEPS and results.folder.path == folder
    assert (run.state, run.steps_done, repr(run)) == ("ended", STEPS, f"<run {folder}: ended>")
    with pytest.raises(RunError, match="has ended"):
        run.step()
    with pytest.raises(RunError, match="has ended"):
        cosim.attach(folder)
    assert results.commands == run.commands and not folder.joinpath("control").exists()


@pytest.mark.parametrize(
    "value",
    [
        0.2,
        3,
        True,
        "a b",
        'a "b"\n',
        (1, 2),
        [[1.5], []],
        {"a b": {"c": [{"\U0001f9e0": 1}, {}]}},
        math.inf,
        datetime.date(2026, 1, 2),
    ],
)
def test_values_of_settings_become_toml(value):
    (setting,) = settings({"key": value})
    assert "\n" not in setting and tomllib.loads(setting) == {"key": [*value] if isinstance(value, tuple) else value}


def test_values_of_numpy_are_plain_ones_wherever_they_stand():
    values = {"a": np.float64(0.5), "b": [np.int64(1), np.arange(2)], "c": {"d": (np.bool_(True), Path("x"))}}
    plain = {"a": 0.5, "b": [1, [0, 1]], "c": {"d": [True, "x"]}}
    assert as_json(values) == plain and json.loads(json.dumps(as_json(values))) == plain
    assert tomllib.loads("\n".join(settings(values))) == plain


@pytest.mark.parametrize("value", [None, [1, None], {"a": {1, 2}}])
def test_what_toml_cannot_say_is_refused_with_its_key_before_anything_starts(value):
    with pytest.raises(ConfigurationError, match="^brain.size: .*: must be text, a number") as caught:
        cosim.start("braitenberg", set={"brain.size": value})
    assert "\n" not in str(caught.value)
