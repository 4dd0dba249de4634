# SPDX-License-Identifier: GPL-2.0-or-later
"""A new kind of source or sink is one file and one line: kinds that cosim does not have, from run to results.

They are in ``tests/kinds``. Neurons are NEST's ``iaf_psc_delta``, whose spikes under a current are computed here.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import bluepysnap
import h5py
import matplotlib.pyplot as plt
import numpy as np
import pynwb
import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec

import cosim
from cosim.devices import kinds
from cosim.devices.base import Setting
from cosim.engines.nest import connection_limits, memory
from cosim.errors import ConfigurationError
from cosim.experiment.config import load
from cosim.network.layout import Unplaced
from cosim.network.network import Network, Population, expected_synapses
from cosim.plan import resolve_devices
from cosim.results import RunData, export
from cosim.show.figure import device_panels
from cosim.show.report.figures import _aspects
from cosim.tools.describe import describe

pytestmark = pytest.mark.usefixtures("with_figures")

STEP_MS, STEPS, DELAY_MS, H_MS = 10.0, 8, 1.0, 0.1
# What is set at the end of each step: an amplitude that changes, and currents that differ between neurons.
STEP_PA, CURRENTS_PA = 500.0, (380.0, 0.0, 600.0)
EXPERIMENT = f"""
title = "Kinds that cosim does not have"
[clock]
coupling_step_ms = {STEP_MS}
resolution_ms = {H_MS}
steps = {STEPS}
[brain]
script = "brain.py"
virtual_processes = 2
[[sources]]
kind = "direct_current"
name = "current"
population = "driven"
delay_ms = {DELAY_MS}
[[sources]]
kind = "currents"
name = "currents"
population = "each"
delay_ms = {DELAY_MS}
[[sources]]
name = "noise"
population = "driven[0:1]"
weight = 0.0
delay_ms = {DELAY_MS}
[[sinks]]
kind = "spike_rate"
name = "rate"
populations = "driven"
[[sinks]]
populations = "*"
weight_pa = 10.0
delay_ms = {DELAY_MS}
"""
BRAIN = """
import nest

driven, each = nest.Create("iaf_psc_delta", 5), nest.Create("iaf_psc_delta", 3)
"""
TRANSFER = f"""
from cosim.transfer import transfer_function

@transfer_function
def excite(step, current, currents, noise, rate):
    current.amplitude_pa = {STEP_PA} if step >= 2 else 0.0
    currents.amplitudes_pa[:] = {CURRENTS_PA}
    noise.rate_hz = rate.rate_hz
"""


def run(*arguments: object) -> subprocess.CompletedProcess:
    command = [find_mpiexec(), "-n", "3", sys.executable, "tests/kinds/run.py", *map(str, arguments)]
    environment = clean_environment()
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kinds") / "experiment"
    folder.mkdir()
    for name, content in {"experiment.toml": EXPERIMENT, "brain.py": BRAIN, "transfer.py": TRANSFER}.items():
        (folder / name).write_text(content)
    return folder


@pytest.fixture(scope="module")
def ended(experiment) -> RunData:
    """A run on two brain ranks; after half of its steps it ended, and was resumed."""
    out = experiment.parent / "run"
    for arguments in ([experiment, "--steps", STEPS // 2, "--out", out], ["--resume", out, "--steps", STEPS]):
        result = run(*arguments)
        assert result.returncode == 0, result.stderr
    return cosim.load(out)


@pytest.fixture
def registered(monkeypatch) -> None:
    """The kinds in this process, too."""
    monkeypatch.setattr(sys, "path", [str(REPOSITORY / "tests" / "kinds"), *sys.path])
    monkeypatch.setitem(kinds.SOURCES, "direct_current", "direct_current:DirectCurrent")
    monkeypatch.setitem(kinds.SOURCES, "currents", "currents:Currents")
    monkeypatch.setitem(kinds.SINKS, "spike_rate", "spike_rate:SpikeRate")


def spikes_ms(current_pa: Mapping[float, float]) -> list[float]:
    """Spikes of an ``iaf_psc_delta`` under a current, by the time from which a generator has it.

    What a generator sends in a step of NEST comes to the neuron after the delay, and bends its voltage from the step
    after that on.
    """
    tau_ms, c_pf, rest_mv, threshold_mv, refractory = 10.0, 250.0, -70.0, -55.0, round(2.0 / H_MS)
    decay = np.exp(-H_MS / tau_ms)
    voltage_mv, silent, found = rest_mv, 0, []
    for step in range(round(STEPS * STEP_MS / H_MS)):
        since_ms = (step - 1) * H_MS - DELAY_MS + 1e-9
        now_pa = current_pa[max((start for start in current_pa if start <= since_ms), default=0.0)]
        if silent:
            silent -= 1
        elif step > round(DELAY_MS / H_MS):
            voltage_mv = rest_mv + decay * (voltage_mv - rest_mv) + (1 - decay) * tau_ms / c_pf * now_pa
        if voltage_mv >= threshold_mv:
            voltage_mv, silent = rest_mv, refractory
            found.append((step + 1) * H_MS)
    return found


def of_neuron(data: RunData, population: str, node: int) -> list[float]:
    spikes = data.spikes[population]
    return spikes.timestamps_ms[spikes.node_ids == node].tolist()


def test_a_current_acts_from_the_start_of_the_step_that_follows(ended):
    expected = spikes_ms({0.0: 0.0, 2 * STEP_MS: STEP_PA})
    assert len(expected) > 2 and expected[0] > 2 * STEP_MS + DELAY_MS
    for node in range(5):
        assert of_neuron(ended, "driven", node) == pytest.approx(expected, abs=1e-6)


def test_each_neuron_gets_the_value_that_is_meant_for_it(ended):
    for node, current_pa in enumerate(CURRENTS_PA):
        assert of_neuron(ended, "each", node) == pytest.approx(spikes_ms({0.0: current_pa}), abs=1e-6)


def test_the_rate_is_that_of_the_recorded_spikes_of_each_step(ended):
    edges_ms = STEP_MS * np.arange(STEPS + 1) + H_MS / 2  # a spike at the end of a step is one of that step
    counts, _ = np.histogram(ended.spikes["driven"].timestamps_ms, edges_ms)
    assert counts[:2].tolist() == [0, 0] and counts.sum() == len(ended.spikes["driven"].node_ids)
    np.testing.assert_allclose(ended.readout["rate"] * 5 * STEP_MS / 1000, counts, rtol=1e-12)


def test_transfer_functions_read_and_write_them(ended):
    assert ended.stimulus["noise"].tolist() == [0.0, *ended.readout["rate"][:-1]]
    np.testing.assert_array_equal(ended.stimulus["current"], [0.0, 0.0, *[STEP_PA] * (STEPS - 2)])
    np.testing.assert_array_equal(ended.stimulus["currents"], [CURRENTS_PA] * STEPS)


def test_the_results_say_what_was_exchanged(ended):
    with h5py.File(ended.folder.run_file) as file:
        told = {
            name: dict(each.attrs)
            for group in file["exchange"].values()
            if isinstance(group, h5py.Group)
            for name, each in group.items()
        }
    common = {"units": "pA", "quantity": "current", "model": "dc_generator"}
    assert told["current"] == {**common, "kind": "direct_current", "population": "driven"}
    assert told["currents"] == {**common, "kind": "currents", "population": "each"}
    rate = {"units": "Hz", "quantity": "rate"}
    assert told["rate"] == {**rate, "kind": "spike_rate", "model": "spike_recorder", "population": "driven"}
    assert told["noise"] == {**rate, "kind": "poisson", "model": "poisson_generator", "population": "driven"}
    voltage = {"units": "mV", "quantity": "voltage", "kind": "leaky_integrator_alpha", "model": "iaf_psc_alpha"}
    assert told["each"] == {**voltage, "population": "each"}


def test_figures_have_a_panel_for_each_quantity_with_its_unit(ended):
    _, axis = plt.subplots()
    drawn = {}
    for _, _, panel in device_panels(ended):
        axis.clear()
        panel(axis, ended)
        drawn[axis.get_ylabel()] = {line.get_label(): line.get_ydata().tolist() for line in axis.lines}
    assert list(drawn) == ["sink voltage (mV)", "sink rate (Hz)", "source current (pA)", "source rate (Hz)"]
    assert drawn["sink rate (Hz)"] == {"rate": ended.readout["rate"].tolist()}
    assert set(drawn["source current (pA)"]) == {"current", *(f"currents[{node}]" for node in range(3))}
    assert drawn["source current (pA)"]["currents[2]"] == [CURRENTS_PA[2]] * STEPS
    assert (ended.folder.path / "figure.png").is_file()


def test_the_report_shows_them(ended):
    titles = [each.title for each in _aspects(ended) if "spike s" in each.title]
    assert titles == [
        *("Voltages of spike sinks", "Rates of spike sinks"),
        *("Currents of spike sources", "Rates of spike sources"),
    ]


def test_neo_has_a_signal_for_each_quantity(ended):
    signals = {each.name: each for each in ended.neo().segments[0].analogsignals}
    assert set(signals) == {"sink_rate", "sink_voltage", "source_current", "source_rate"}
    current = signals["source_current"]
    assert str(current.units.dimensionality) == "pA" and current.shape == (STEPS, 4)
    assert current.array_annotations["column"].tolist() == ["current", *(f"currents[{node}]" for node in range(3))]
    np.testing.assert_array_equal(signals["sink_rate"].magnitude[:, 0], ended.readout["rate"])


def test_exports_have_them_with_their_units(ended, tmp_path):
    export.main(str(ended.folder.path), "csv", str(tmp_path / "tables"))
    with (tmp_path / "tables/exchange.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["current.current_pa"]) for row in rows] == ended.stimulus["current"].tolist()
    assert [float(row["currents[0].current_pa"]) for row in rows] == [CURRENTS_PA[0]] * STEPS
    assert [float(row["rate.rate_hz"]) for row in rows] == ended.readout["rate"].tolist()
    export.main(str(ended.folder.path), "nwb", str(tmp_path / "run.nwb"))
    with pynwb.NWBHDF5IO(str(tmp_path / "run.nwb"), "r") as reader:
        exchange = reader.read().processing["exchange"]
        assert exchange["current_current"].unit == "amperes"
        np.testing.assert_allclose(exchange["currents_current"].data[:], 1e-12 * ended.stimulus["currents"])


def test_sonata_has_a_report_for_each_quantity(ended):
    simulation = bluepysnap.Simulation(str(ended.folder.path / "simulation_config.json"))
    assert {*simulation.reports} == {"sink_rates", "sink_voltages", "source_currents", "source_rates"}
    rates = simulation.reports["sink_rates"]
    assert rates.data_units == "Hz"
    nodes = simulation.circuit.nodes["spike_sinks"].get()
    assert list(nodes["name"]) == ["driven", "each", "rate"]
    assert list(nodes["model_template"]) == ["nest:iaf_psc_alpha", "nest:iaf_psc_alpha", "nest:spike_recorder"]
    np.testing.assert_allclose(rates["spike_sinks"].get()[2], ended.readout["rate"], rtol=1e-6)
    currents = simulation.reports["source_currents"]["spike_sources"].get()
    np.testing.assert_array_equal(currents[1].to_numpy(), ended.stimulus["currents"])
    np.testing.assert_array_equal(currents[0].to_numpy()[:, 0], ended.stimulus["current"])


def test_a_run_with_them_goes_on_after_its_end(ended):
    """Every value that was recorded was compared with what it was when the steps were run again."""
    assert ended.summary["resumed_after_steps"] == STEPS // 2 and ended.summary["steps"] == STEPS


def test_describe_tells_kind_quantity_and_unit(experiment, registered):
    ports = {each["name"]: each for each in describe(load(str(experiment)))["ports"]}
    assert (ports["current"]["device"], ports["current"]["quantity"], ports["current"]["units"]) == (
        "direct_current",
        "current",
        "pA",
    )
    assert (ports["rate"]["kind"], ports["rate"]["units"]) == ("sink", "Hz")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("sources.0.kind=direct_curent", "sources.0.kind = 'direct_curent': did you mean direct_current? allowed: ac,"),
        ("sinks.0.kind=3", "sinks.0.kind = 3: allowed: leaky_integrator_alpha, leaky_integrator_exp"),
        ("sources.0.wait=1", "sources.0.wait: unknown key in sources.0; did you mean weight? allowed: delay_ms, kind,"),
        ("sinks.0.weight_pa=1", "sinks.0.weight_pa: unknown key in sinks.0; allowed: kind, name, populations"),
        ("sinks.1.weight_pa=-1", "sinks.1.weight_pa = -1: must be greater than 0"),
        ("sources.1.delay_ms=0.05", "sources.1.delay_ms = 0.05: must be a multiple of clock.resolution_ms = 0.1"),
    ],
)
def test_what_is_wrong_is_told_in_the_words_of_the_kind(experiment, registered, override, words):
    with pytest.raises(ConfigurationError) as refusal:
        resolve_devices(load(str(experiment), [override]), {"driven": 5, "each": 3})
    assert words in str(refusal.value)


def test_what_nest_refuses_of_a_kind_is_told_in_one_line_and_leaves_nothing(experiment, tmp_path):
    refused = run(experiment, "--set", "sinks.0.kind=misread", "--out", tmp_path / "run")
    assert refused.returncode == 2
    assert refused.stderr.count("cosim: could not open sinks: ") == 1 and "n_evnts" in refused.stderr
    assert "Traceback" not in refused.stderr and not (tmp_path / "run").exists()


def test_memory_and_connections_are_those_that_the_kind_tells(experiment, registered):
    devices = resolve_devices(load(str(experiment)), {"driven": 5000, "each": 3})
    populations = tuple(
        Population(name, "R", "iaf_psc_delta", {}, Unplaced(size)) for name, size in (("driven", 5000), ("each", 3))
    )
    tables = Network(populations)
    load_ = memory.weigh(tables, expected_synapses(tables), devices, 0.1)
    assert load_.generators == 1 + 3 + 1 and load_.more_bytes == 5000 * 16_500
    assert load_.generator_links == 5000 + 3 + 1 + 5000
    assert connection_limits.largest_share(tables, devices, 1).connections == load_.generator_links + 5003
    assert memory.device_links(tables, devices) == load_.generator_links + 5003
    assert (devices.stimulus_size, devices.readout_size) == (1 + 3 + 1, 3)


def test_a_kind_that_makes_less_than_it_exchanges_is_refused(experiment, registered, monkeypatch):
    from cosim.engines.nest.brain import _create

    devices = resolve_devices(load(str(experiment)), {"driven": 5, "each": 3})
    several = devices.sources[1]
    monkeypatch.setattr(type(several.table), "create", lambda table, site: [Setting(1, "amplitude")])
    with pytest.raises(ValueError, match="currents: 1 values in NEST, must be 3"):
        _create([several], SimpleNamespace(NESTError=RuntimeError), None, {"each": range(3)}, STEP_MS)


@pytest.mark.parametrize("section", ["sources", "sinks"])
def test_every_kind_is_registered_by_its_own_name(section):
    for name, table in kinds.kinds(section).items():
        assert table.model_fields["kind"].default == name
        assert table.quantity and table.unit and table.model
    assert kinds.DEFAULTS[section] in kinds.kinds(section)
