# SPDX-License-Identifier: GPL-2.0-or-later
"""Sinks with many values: samples of neurons, weights of projections. Their values: ``test_devices_against_nest``."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from conftest import PROGRAMS, REPOSITORY, clean_environment

from cosim.devices.devices import Devices, make_ports
from cosim.devices.recorded_variables import RecordedVariables
from cosim.devices.resolve import Wanted, resolve
from cosim.devices.series import DeviceSeries
from cosim.devices.weights import ProjectionWeights
from cosim.engines.nest import memory
from cosim.network.layout import Unplaced
from cosim.network.network import Network, Population, Projection, expected_synapses
from cosim.network.rules.fixed_indegree import FixedIndegree
from cosim.network.values import Constant
from cosim.record.recorder import _columns
from cosim.record.weights import read_weights

SIZES = {"E": 8, "I": 4}
STEP_MS, RESOLUTION_MS = 10.0, 0.1


def resolved(*sinks) -> Devices:
    return resolve(Wanted((), sinks, (), RESOLUTION_MS, STEP_MS), SIZES, {})


def refusal(*sinks) -> str:
    with pytest.raises(ValueError) as caught:
        resolved(*sinks)
    return str(caught.value)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory) -> dict[str, np.ndarray]:
    """See the program."""
    result = tmp_path_factory.mktemp("sampled") / "result.npz"
    command = [sys.executable, PROGRAMS / "sampled.py", result]
    done = subprocess.run(command, cwd=REPOSITORY, env=clean_environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return dict(np.load(result))


@pytest.mark.parametrize("interval", ["0.1", "0.5", "2.5"])
def test_samples_are_those_of_nest_where_steps_cut_its_slices(sampled, interval):
    read, in_nest = sampled[f"read/{interval}"], sampled[f"nest/{interval}"]
    assert len(np.unique(in_nest)) > 100
    np.testing.assert_array_equal(read, in_nest)


def test_who_records_gets_the_spikes_of_who_does_not(sampled):
    assert len(sampled["without"]) > 20
    np.testing.assert_array_equal(sampled["with"], sampled["without"])


def test_a_port_of_variables_has_samples_neurons_and_variables():
    table = RecordedVariables(populations="E[2:8:2]", name="cells", variables=("V_m", "g_ex"), interval_ms=2.5)
    devices = resolved(table)
    readout = np.arange(devices.readout_size, dtype=float)
    port = make_ports(devices, readout, np.empty(0))["cells"]
    assert devices.readout_size == 2 * 4 * 3
    assert port.values.shape == (4, 3, 2) and port["g_ex"].shape == (4, 3)
    assert port.values[1, 2].tolist() == [5.0, 17.0]  # all of V_m come before all of g_ex
    readout[5] = -60.0
    assert port["V_m"][1, 2] == -60.0
    with pytest.raises(ValueError, match="read-only"):
        port["V_m"][:] = 0.0
    with pytest.raises(KeyError, match=r"cells\['V'\]: must be one of V_m, g_ex"):
        port["V"]


def test_a_rare_sample_is_one_and_each_variable_is_a_dataset():
    (sink,) = resolved(RecordedVariables(populations="I", variables=("V_m", "w"), interval_ms=30.0)).sinks
    series = _columns([sink])
    assert series.shapes == {"I.V_m": (1, 4), "I.w": (1, 4)} and series.row_shape == (8,)
    rows = np.arange(16.0).reshape(2, 8)
    assert [each.tolist() for each in series.split(rows)] == [
        [[[0.0, 1.0, 2.0, 3.0]], [[8.0, 9.0, 10.0, 11.0]]],
        [[[4.0, 5.0, 6.0, 7.0]], [[12.0, 13.0, 14.0, 15.0]]],
    ]
    attributes = series.column_attributes
    assert (attributes["I.V_m"]["quantity"], attributes["I.V_m"]["units"]) == ("membrane potential", "mV")
    assert (attributes["I.w"]["quantity"], attributes["I.w"]["interval_ms"]) == ("w", 30.0)


def test_times_of_samples_divide_each_step():
    series = DeviceSeries("cells.V_m", np.zeros((2, 4, 3)), "membrane potential", "mV", "", "")
    assert series.time_ms(np.array([10.0, 20.0])).tolist() == [2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 17.5, 20.0]
    assert series.rows.shape == (8, 3) and list(series.columns) == [f"cells.V_m[{neuron}]" for neuron in range(3)]


@pytest.mark.parametrize(
    ("interval_ms", "words"),
    [
        (0.25, "sinks.0.interval_ms = 0.25: must be a multiple of clock.resolution_ms = 0.1"),
        (3.0, "sinks.0.interval_ms = 3.0: must divide clock.coupling_step_ms = 10.0, or be a multiple of it"),
        (15.0, "sinks.0.interval_ms = 15.0: must divide clock.coupling_step_ms = 10.0, or be a multiple of it"),
    ],
)
def test_an_interval_that_fits_no_step_is_refused(interval_ms, words):
    assert refusal(RecordedVariables(populations="E", interval_ms=interval_ms)) == words


def test_a_variable_that_is_named_twice_is_refused():
    message = refusal(RecordedVariables(populations="E", variables=("V_m", "g_ex", "V_m")))
    assert message == "sinks.0.variables = ['V_m', 'g_ex', 'V_m']: V_m is there twice"


def test_weights_of_ranks_become_a_mean_and_a_histogram():
    """A negative sum has a negative high part; the low parts of all ranks together are more than one part may be."""
    devices = resolved(ProjectionWeights(populations="I", name="w", source="E", edges=(-1.0, 2.0)))
    readout = np.zeros(devices.readout_size)
    port, settle = make_ports(devices, readout, np.empty(0))["w"], devices.settle(readout)
    weights = [-3.0, 0.1, 1.5, 7.25]
    parts = [round(each * 2**44) for each in weights]
    for rank in (parts[:1], parts[1:]):
        high, low = divmod(sum(rank), 2**40)
        readout[:2] += high, low
    readout[2:] += [1, 2, 1]
    settle()
    assert port.mean == sum(parts) / (4 << 44) == pytest.approx(np.mean(weights), rel=1e-13)
    assert port.count == 4 and port.histogram.tolist() == [1, 2, 1] and port.edges == (-1.0, 2.0)
    readout[:] = 0.0
    settle()
    assert np.isnan(port.mean) and port.count == 0


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"edges": (1.0, 1.0)}, "sinks.0.edges = [1.0, 1.0]: must ascend"),
        ({"source": "F"}, "sinks.0.source = 'F': no such population"),
        ({"source": "*"}, "sinks.0.source = '*': must be one population, but matches E, I"),
        ({"source": "E[9:]"}, "sinks.0.source = 'E[9:]': no neuron is left of E"),
        ({"source": "E[a]"}, "sinks.0.source = 'E[a]'"),
    ],
)
def test_weights_that_cannot_be_read_are_refused(keys, words):
    message = refusal(ProjectionWeights(**{"populations": "I", "source": "E"} | keys))
    assert message.startswith(words) and "\n" not in message


def test_who_asks_for_weights_that_were_not_kept_is_told_so(tmp_path):
    with pytest.raises(KeyError, match="no sink of the run kept weights, see full_every"):
        read_weights(tmp_path / "weights.h5", "w")


def test_the_prediction_of_memory_counts_the_synapses_that_a_sink_looks_at():
    populations = tuple(Population(name, "R", "iaf_psc_exp", {}, Unplaced(size)) for name, size in SIZES.items())
    rule = FixedIndegree(5)
    projections = tuple(Projection("E", target, rule, Constant(1.0), 1.0) for target in SIZES)
    network = Network(populations, projections)
    expected, bytes_ = expected_synapses(network), []
    for keys in ({}, {"full_every": 10}):
        devices = resolved(ProjectionWeights(populations="I", source="E", **keys))
        bytes_.append(memory.weigh(network, expected, devices, RESOLUTION_MS).more_bytes)
    assert bytes_ == [8 * 5 * SIZES["I"], 32 * 5 * SIZES["I"]]


def test_runs_without_such_sinks_have_nothing_to_settle():
    assert resolved(RecordedVariables(populations="E")).settle(np.zeros(80)) is None
