# SPDX-License-Identifier: GPL-2.0-or-later
"""Ports, populations and bodies in the hands of a program: what transfer functions see of them, it sees as well."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec

import cosim
from cosim import cli
from cosim.errors import CommandError
from cosim.record.folder import RunFolder

pytestmark = pytest.mark.starts

STEP_MS = 10.0
EXPERIMENT = f"""
seed = 3
[clock]
coupling_step_ms = {STEP_MS}
steps = 8
[brain]
script = "brain.py"
virtual_processes = 4
[transfer]
on_error = "disable"
[[sources]]
kind = "spike_injector"
name = "sent"
population = "echo"
weight = 5000.0
delay_ms = 1.0
per_neuron = true
[[sources]]
kind = "poisson"
name = "noise"
populations = "*o*"
weight = 1.0
delay_ms = 1.0
[[sinks]]
kind = "recorded_variables"
name = "seen"
populations = "echo"
[[sinks]]
kind = "weights"
name = "synapses"
source = "other"
populations = "echo"
edges = [0.0, 2.0]
[record]
spikes = "echo"
"""
BRAIN = """
import nest
echo = nest.Create("iaf_psc_alpha", 7)
other = nest.Create("iaf_psc_alpha", 4)
nest.Connect(other, echo, syn_spec={"weight": 1.0})
"""
TRANSFER = """
from cosim import transfer_function

@transfer_function
def fail(t_ms, sent):
    if t_ms == 70.0:
        raise RuntimeError("seventy")
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ports") / "experiment"
    folder.mkdir()
    for name, content in {"experiment.toml": EXPERIMENT, "brain.py": BRAIN, "transfer.py": TRANSFER}.items():
        (folder / name).write_text(content)
    return folder


@pytest.fixture(scope="module")
def run(experiment):
    """On two brain ranks, paused."""
    with cosim.start(experiment, ranks=2, out=experiment.parent / "run") as started:
        started.step(2)
        yield started


def test_spikes_are_sent_in_the_coming_step(run):
    run.ports["sent"].send([21.0, 25.0], neurons=3)
    run.ports["sent"].send(23.0)
    run.step()
    spikes = run.population("echo").spikes()
    sent_to = [(times > 20.0).sum() for times in (spikes.timestamps_ms[spikes.node_ids == n] for n in range(7))]
    assert sent_to[3] > sent_to[0] > 0 and len({*sent_to[:3], *sent_to[4:]}) == 1
    assert run.ports["sent"].count == 3.0


@pytest.mark.parametrize(
    ("port", "times_ms", "neurons", "message"),
    [
        ("sent", 1.0, None, "sent.send: times_ms has 1: must be a multiple of"),
        ("sent", [31.0, 31.05], None, "sent.send: times_ms has 31.05"),
        ("sent", 31.0, [7], "sent.send: neurons has 7: must be 0 to 6"),
        ("noise", 31.0, None, "noise sends no spikes: .*sent"),
    ],
)
def test_spikes_that_cannot_be_sent_are_refused(run, port, times_ms, neurons, message):
    recorded = len(run.commands)
    with pytest.raises(CommandError, match=message):
        run.ports[port].send(times_ms, neurons)
    assert len(run.commands) == recorded


def test_a_port_shows_all_that_it_shows_to_transfer_functions(run):
    noise, seen, synapses = (run.ports[name] for name in ("noise", "seen", "synapses"))
    assert noise.populations == ("echo", "other") and noise.index("other") == 1
    assert seen.variables == ("V_m",) and seen["V_m"].shape == (10, 7)
    assert seen["V_m"].tolist() == seen.values[:, :, 0].tolist()
    assert synapses.edges == (0.0, 2.0) and synapses.count == 28
    assert {"populations", "index"} <= {*dir(noise)} and "edges" in dir(synapses)
    with pytest.raises(KeyError, match="must be one of V_m"):
        seen["V_n"]


def test_parameters_of_neurons_on_all_ranks_come_in_the_order_of_neurons(run):
    for number in range(4):
        run.population(f"other[{number}:{number + 1}]").set(V_th=-50.0 - number)
    assert run.population("other").get("V_th")["V_th"].tolist() == [-50.0, -51.0, -52.0, -53.0]
    assert run.population("other[2:3]").get("V_th")["V_th"].tolist() == [-52.0]


def test_a_run_in_which_spikes_were_sent_is_resumed_byte_for_byte(run, tmp_path):
    """What is resumed compares every step by itself."""
    with cosim.start(run.folder.parent / "experiment", ranks=2, out=tmp_path / "run") as other:
        other.step(2)
        other.ports["sent"].send([21.0, 25.0], neurons=3)
        other.step(2)
        before = other.finish().spikes["echo"]
    copy = shutil.copytree(tmp_path / "run", tmp_path / "resumed")
    command = [find_mpiexec(), "-n", "3", sys.executable, REPOSITORY / "run.py", "--resume", copy, "--steps", "6"]
    subprocess.run(list(map(str, command)), env=clean_environment(), check=True, timeout=120)
    after = cosim.load(copy).spikes["echo"]
    assert len(before.timestamps_ms) > 1
    assert after.timestamps_ms[: len(before.timestamps_ms)].tolist() == before.timestamps_ms.tolist()


def test_a_function_that_failed_is_seen_while_the_run_goes_on_and_in_its_results(run, capsys):
    run.run_until(80.0)
    told = [{"name": "fail", "step": 7, "message": run.transfer["fail"].message}]
    assert "seventy" in told[0]["message"] and "\n" not in told[0]["message"]
    assert cli.main(["watch", str(run.folder), "--once"]) == 0
    assert "failed" in (shown := capsys.readouterr().out) and "fail after step 7: " in shown
    results = run.finish()
    assert results.summary["failed_functions"] == told
    last = (run.folder / "log.txt").read_text().split("started")[-1].splitlines()[-8:]
    assert any("transfer function fail was switched off after step 7: " in line for line in last), last
    assert cli.main(["watch", str(run.folder), "--once"]) == 0
    assert "fail after step 7: " in capsys.readouterr().out


def test_the_shell_begins_anew_with_another_seed_and_other_values(experiment, tmp_path, capsys):
    started = cosim.start(experiment, ranks=1, out=tmp_path / "run")
    steer = ["steer", str(started.folder)]
    assert cli.main([*steer, "reset", "body", "--seed", "4"]) == 2
    assert "overrides: must be empty with what = 'body'" in capsys.readouterr().err
    assert cli.main([*steer, "reset", "all", "--seed", "4", "--set", "clock.steps=6", "--json"]) == 0
    new = RunFolder(Path(json.loads(capsys.readouterr().out)["folder"]))
    latest = time.monotonic() + 60
    while not new.state_file.exists() and time.monotonic() < latest:
        time.sleep(0.05)
    began = cosim.attach(new.path)
    assert (began.config["seed"], began.steps) == (4, 6)
    began.finish()
