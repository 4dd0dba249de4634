# SPDX-License-Identifier: GPL-2.0-or-later
"""Spikes that brain and body exchange one by one: what ports let through, what runs keep, repeat and go on from."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec

import cosim
from cosim.devices.devices import Devices, SpikeLists, make_ports
from cosim.devices.lists import by_time
from cosim.errors import ConfigurationError
from cosim.experiment.config import load
from cosim.modes.compare import series_differences, series_names
from cosim.plan import resolve_devices
from cosim.record import lists
from cosim.record.folder import RunFolder
from cosim.record.profile import STEP_PHASES
from cosim.record.runfile import finish_run_file, whole_steps
from cosim.results import RunData, export

STEPS, STEP_MS, SIZES = 8, 10.0, {"heard": 20, "echo": 20}
EXPERIMENT = f"""
seed = 3
[clock]
coupling_step_ms = {STEP_MS}
steps = {STEPS}
[brain]
script = "brain.py"
virtual_processes = 4
[[sources]]
kind = "spike_injector"
name = "sent"
population = "echo"
weight = 2500.0
delay_ms = 1.0
per_neuron = true
[[sources]]
kind = "spike_injector"
name = "even"
population = "echo[2::2]"
weight = 1.0
delay_ms = 1.0
per_neuron = true
[[sources]]
kind = "spike_injector"
name = "to_all"
population = "echo"
weight = 10.0
delay_ms = 1.0
[[sinks]]
kind = "spikes"
name = "seen"
populations = "heard"
[[sinks]]
kind = "spike_count"
name = "number"
populations = "heard"
window_ms = 20.0
[record]
spikes = "echo"
"""
BRAIN = """
import nest
heard = nest.Create("iaf_psc_alpha", 20, {"I_e": 600.0, "V_m": nest.random.uniform(-70.0, -55.0)})
echo = nest.Create("iaf_psc_alpha", 20)
"""
TRANSFER = f"""
from cosim import transfer_function

@transfer_function
def answer(t_ms, seen, sent, even, number):
    sent.send(seen.times_ms + {STEP_MS}, seen.node_ids)
    if t_ms == 20.0:
        sent.send([25.0, 21.0])
        even.send(t_ms + 1.0, [2, 18])
"""


def run(ranks: int, *arguments: object) -> str:
    """What it says; on so many brain ranks."""
    result = start(ranks, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stderr


def start(ranks: int, *arguments: object) -> subprocess.CompletedProcess:
    command = [find_mpiexec(), "-n", ranks + 1, sys.executable, REPOSITORY / "run.py", *arguments]
    environment = clean_environment()
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("lists") / "experiment"
    folder.mkdir()
    for name, content in {"experiment.toml": EXPERIMENT, "brain.py": BRAIN, "transfer.py": TRANSFER}.items():
        (folder / name).write_text(content)
    return folder


@pytest.fixture(scope="module")
def whole(experiment) -> RunData:
    """An uninterrupted run on one brain rank."""
    run(1, experiment, "--out", experiment.parent / "whole")
    return cosim.load(experiment.parent / "whole")


@pytest.fixture(scope="module")
def half(experiment) -> Path:
    """Half of its steps, on two brain ranks; not to be changed."""
    run(2, experiment, "--out", experiment.parent / "half", "--steps", STEPS // 2)
    return experiment.parent / "half"


def exchanged(file: Path) -> dict[str, np.ndarray]:
    names = series_names(file, "exchange")
    with h5py.File(file) as opened:
        return {name: opened[name][()] for name in names}


class TestPorts:
    """On lists that nobody sends."""

    @pytest.fixture
    def devices(self, experiment) -> Devices:
        return resolve_devices(load(str(experiment)), SIZES)

    @pytest.fixture
    def messages(self, devices) -> tuple[np.ndarray, np.ndarray, SpikeLists]:
        readout, stimulus = np.zeros(devices.readout_size), np.zeros(devices.stimulus_size)
        return readout, stimulus, SpikeLists(devices, readout, stimulus)

    @pytest.fixture
    def ports(self, devices, messages):
        return make_ports(devices, *messages)

    def test_what_is_sent_adds_up_and_is_sorted_by_time_and_neuron(self, ports, messages):
        _, stimulus, spikes = messages
        ports["sent"].send([5.0, 0.1], neurons=7)
        ports["sent"].send(5.0, neurons=[19, 0])
        ports["sent"].send(5.0)
        assert spikes.sources[0].times_ms.tolist() == [0.1, 5.0, 5.0, 5.0, 5.0]
        assert spikes.sources[0].numbers.tolist() == [7, -1, 0, 7, 19]
        assert stimulus.tolist() == [5, 0, 0] and ports["sent"].count == 5

    def test_what_was_sent_is_not_sent_again(self, ports, messages):
        _, stimulus, spikes = messages
        ports["sent"].send([1.0, 10.0])
        spikes.go_on()
        assert [each.tolist() for each in spikes.acted[0]] == [[1.0, 10.0], [-1, -1]]
        assert stimulus.tolist() == [0, 0, 0] and len(spikes.sources[0].times_ms) == 0
        ports["sent"].send([10.1, 20.0])  # the step that comes now

    @pytest.mark.parametrize("time_ms", [0.0, -1.0, 10.1, 0.15, float("nan"), float("inf")])
    def test_a_time_outside_of_the_coming_step_or_off_the_grid_is_refused(self, ports, messages, time_ms):
        allowed = "must be a multiple of 0.1 ms above 0 and up to 10, in the coming step"
        with pytest.raises(ValueError, match=rf"^sent\.send: times_ms has {time_ms:g}: {allowed}$"):
            ports["sent"].send([1.0, time_ms])
        assert messages[1].tolist() == [0, 0, 0]

    @pytest.mark.parametrize(
        ("port", "neurons", "words"),
        [
            ("sent", [0, 20], "neurons has 20: must be 0 to 19"),
            ("sent", [0, -1], "neurons has -1: must be 0 to 19"),
            ("even", [2, 3], "neurons has 3: must be 2 to 18 in steps of 2"),
            ("even", [2, 0], "neurons has 0: must be 2 to 18 in steps of 2"),
            ("sent", [0.0, 1.0], "neurons are of type float64: must be whole numbers"),
            ("sent", [0, 1, 2], r"\(2,\) times and \(3,\) neurons: must be as many, or one of either"),
            ("to_all", [0, 1], "neurons: must be left out, or per_neuron = true be given in its table"),
        ],
    )
    def test_neurons_that_are_not_there_are_refused(self, ports, messages, port, neurons, words):
        with pytest.raises(ValueError, match=rf"^{port}\.send: {words}$"):
            ports[port].send([1.0, 2.0], neurons=neurons)
        assert messages[1].tolist() == [0, 0, 0]

    def test_sinks_show_nothing_before_they_have_read_anything(self, ports):
        assert (ports["seen"].count, ports["number"].count, ports["number"].rate_hz) == (0, 0, 0.0)
        assert (ports["seen"].times_ms.dtype, ports["seen"].node_ids.dtype) == (float, int)
        ports["sent"].send(ports["seen"].times_ms, ports["seen"].node_ids)
        with pytest.raises(AttributeError):
            ports["seen"].time_ms = 1.0

    def test_a_rate_is_of_a_neuron_and_of_the_window(self, ports, messages):
        messages[0][:] = [0, 8]
        assert ports["number"].count == 8
        assert ports["number"].rate_hz == pytest.approx(8 / 20 / 0.02)

    def test_a_window_holds_whole_steps(self, experiment):
        with pytest.raises(ConfigurationError, match=r"sinks\.1\.window_ms = 25\.0: must be a multiple of .* = 10\.0"):
            resolve_devices(load(str(experiment), ["sinks.1.window_ms=25.0"]), SIZES)


def test_spikes_are_sorted_as_by_two_keys():
    draw = np.random.default_rng(4)
    times_ms, numbers = draw.integers(1, 50, 3000) * 0.1, draw.integers(-1, 40, 3000).astype(float)
    order = np.lexsort((numbers, times_ms))
    sorted_ms, sorted_numbers = by_time(times_ms, numbers)
    assert sorted_ms.tobytes() == times_ms[order].tobytes()
    assert sorted_numbers.tobytes() == numbers[order].tobytes()


def test_results_hold_what_was_sent_and_what_spikes_h5_does_not(whole):
    seen, sent = whole.exchanged_spikes["seen"], whole.exchanged_spikes["sent"]
    assert len(seen.times_ms) == whole.readout["seen"].sum() > 100
    ends = np.repeat(np.arange(1, STEPS + 1) * STEP_MS, whole.readout["seen"].astype(int))
    assert np.all((seen.times_ms > ends - STEP_MS) & (seen.times_ms <= ends + 1e-9))
    assert np.lexsort((seen.neurons, seen.times_ms)).tolist() == [*range(len(seen.times_ms))]
    before = ends < STEPS * STEP_MS
    expected = [*zip(seen.times_ms[before] + STEP_MS, seen.neurons[before], strict=True), (21.0, -1), (25.0, -1)]
    assert [*zip(*sent, strict=True)] == sorted(expected)
    assert whole.exchanged_spikes["even"].neurons.tolist() == [2, 18]
    np.testing.assert_array_equal(whole.readout["number"], np.convolve(whole.readout["seen"], [1, 1])[:STEPS])


def test_spikes_act_from_the_start_of_the_step_on(whole):
    """Brain ranks begin a step before they know of its spikes; what is sent in the first ms must not be too late."""
    times_ms, neurons = whole.spikes["echo"]
    together = neurons[np.isclose(times_ms, 22.7)]  # those that were at rest at 21 ms, and the delay is 1 ms
    assert len(together) == len({*together}) == 7


def test_sinks_of_recorded_neurons_are_not_recorded_twice(experiment):
    def names(recorded: str) -> set[str]:
        devices = resolve_devices(load(str(experiment), [f"record.spikes={recorded}"]), SIZES)
        return {name.split("/")[2] for name in lists.series(devices)}

    assert names("*") == names("['heard[:10]','heard[10:]']") == {"sent", "even", "to_all"}
    assert names("heard[1:]") == names("echo") == {"seen", "sent", "even", "to_all"}


def test_a_run_that_goes_on_gives_the_same_bytes_on_another_number_of_ranks(whole, half, tmp_path):
    shutil.copytree(half, tmp_path / "copy")
    said = run(1, "--resume", tmp_path / "copy", "--steps", STEPS)
    assert "were the same in all 4 recorded steps" in said
    expected, found = exchanged(whole.folder.run_file), exchanged(tmp_path / "copy" / "run.h5")
    assert expected.keys() == found.keys() and len(expected) == 14
    assert [name for name in expected if expected[name].tobytes() != found[name].tobytes()] == []
    assert (tmp_path / "copy" / "spikes.h5").read_bytes() == whole.folder.spike_file.read_bytes()


def test_spikes_that_are_sent_otherwise_end_a_run_that_goes_on(half, experiment, tmp_path):
    shutil.copytree(half, tmp_path / "copy")
    shutil.copytree(experiment, tmp_path / "changed")
    text = TRANSFER.replace("[25.0, 21.0]", "[25.0, 21.1]")
    (tmp_path / "changed" / "transfer.py").write_text(text)
    result = start(1, tmp_path / "changed", "--resume", tmp_path / "copy", "--steps", STEPS)
    assert result.returncode == 1
    words = "spikes of sent in step 2 were recorded as neuron -1 at 21.0 ms and are now neuron -1 at 21.1 ms"
    assert words in result.stderr


def test_a_replay_sends_the_same_spikes(whole, tmp_path):
    said = run(2, "--replay", whole.folder.path, "--out", tmp_path / "same")
    assert "the same spikes and readouts as in 8 steps" in said
    again = cosim.load(tmp_path / "same")
    assert again.exchanged_spikes["sent"].times_ms.tobytes() == whole.exchanged_spikes["sent"].times_ms.tobytes()
    assert again.folder.spike_file.read_bytes() == whole.folder.spike_file.read_bytes()


def test_a_replay_that_cannot_send_to_single_neurons_says_so(whole, tmp_path):
    result = start(1, "--replay", whole.folder.path, "--set", "sources.0.per_neuron=false", "--out", tmp_path / "out")
    assert result.returncode != 0
    assert "could not inject spikes: there is no node for neuron" in result.stderr.replace("\n", " ")


class TestFiles:
    """Without a run: a file in which a step has two, none and three spikes."""

    @pytest.fixture
    def run_file(self, tmp_path):
        def write(name: str, times_ms: list[float], neurons: list[int]) -> Path:
            with h5py.File(tmp_path / name, "w") as file:
                file["exchange/readout/sink"], file["exchange/time_ms"] = [2.0, 0.0, 3.0], [5.0, 10.0, 15.0]
                file["exchange/spikes/sink/times_ms"], file["exchange/spikes/sink/neurons"] = times_ms, neurons
            return tmp_path / name

        return write

    @pytest.fixture
    def shard(self, tmp_path):
        with h5py.File(tmp_path / "shard.h5", "w") as file:
            file["profile"] = np.zeros((3, len(STEP_PHASES)))
        return tmp_path / "shard.h5"

    @pytest.mark.parametrize(("rows", "steps"), [(5, 3), (4, 2), (2, 2), (1, 0)])
    def test_a_step_is_whole_if_all_of_its_spikes_are_there(self, run_file, shard, rows, steps):
        times_ms, neurons = [1.0, 2.0, 11.0, 12.0, 13.0], [1, 2, 3, 4, 5]
        folder = RunFolder(run_file("run.h5", times_ms, neurons[:rows]).parent)
        assert whole_steps(folder.run_file, [shard], 1) == steps
        finish_run_file(folder, folder.path / "whole.h5", [shard], steps, 1, {})
        with h5py.File(folder.path / "whole.h5") as finished:
            count = {0: 0, 2: 2, 3: 5}[steps]
            assert finished["exchange/spikes/sink/times_ms"][:].tolist() == times_ms[:count]
            assert finished["exchange/spikes/sink/neurons"][:].tolist() == neurons[:count]

    def test_a_difference_is_told_with_its_step(self, run_file):
        one = run_file("one.h5", [1.0, 2.0, 11.0, 12.0, 13.0], [1, 2, 3, 4, 5])
        other = run_file("other.h5", [1.0, 2.0, 11.5, 12.5, 13.0], [1, 2, 3, 4, 5])
        names = series_names(one, "exchange")
        (difference,) = series_differences(one, other, names, 3, 1)
        assert str(difference) == "exchange/spikes/sink/times_ms in step 2: recorded 11.0, now 11.5"
        assert not [*series_differences(one, other, names, 2, 1)]


def test_tables_of_an_export_hold_them(whole, tmp_path):
    assert export.main(str(whole.folder.path), "csv", str(tmp_path / "csv")) == 0
    with (tmp_path / "csv" / "exchanged_spikes.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == sum(len(each.times_ms) for each in whole.exchanged_spikes.values())
    assert {"device": "even", "neuron": "18", "time_ms": "21.0"} in rows


def test_times_are_those_of_the_run_also_where_nests_clock_began_anew(alone):
    result = alone("tests/programs/inject_in_run_time.py")
    assert result.returncode == 0, result.stderr
    to_all, to_some = [(104.0, 10.0), (104.0, 12.0), (104.0, 14.0)], [(106.5, 12.0), (106.5, 14.0)]
    assert result.stdout.strip() == f"5.0 5 {[*to_all, *to_some]}"
