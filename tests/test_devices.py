# SPDX-License-Identifier: GPL-2.0-or-later
"""Spike sources and sinks: which populations they find, how a patch scales them, what ports let through."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.body import kinds
from cosim.devices.devices import make_ports
from cosim.devices.generator import RELAY_BYTES
from cosim.devices.resolve import OTHER_PORTS, resolve
from cosim.experiment.config import load
from cosim.network.address import Address, places, union
from cosim.plan import ports as ports_of_a_run
from cosim.transfer.module import OWN_PORTS

SIZES = {"M1_L1_ENGC": 32, "M1_L1_SBC": 75, "M1_L23_CC": 800, "M1_L5A_CC": 100, "S1_L4_CC": 50}
FULL = {"M1_L1_ENGC": 512, "M1_L1_SBC": 1200, "M1_L23_CC": 14256, "M1_L5A_CC": 1600, "S1_L4_CC": 50}


def devices(*overrides: str):
    experiment = load("mouse_m1", overrides)
    return resolve(experiment.config.devices, SIZES, FULL, kinds.make_ports(experiment.body))


def problems(*overrides: str) -> str:
    with pytest.raises(ValueError) as caught:
        devices(*overrides)
    return str(caught.value)


def test_every_population_that_a_pattern_matches_gets_a_sink_of_its_name():
    assert [sink.name for sink in devices().sinks] == ["M1_L1_ENGC", "M1_L1_SBC", "M1_L23_CC", "M1_L5A_CC"]
    pyramidal = devices("sinks.0.populations=*_CC").sinks
    assert [sink.name for sink in pyramidal] == ["M1_L23_CC", "M1_L5A_CC", "S1_L4_CC"]


def test_a_sink_on_a_patch_weighs_as_much_as_the_full_population_would():
    weights_pa = {sink.name: sink.table.weight_pa * sink.scale for sink in devices("sinks.0.populations=*").sinks}
    assert weights_pa["M1_L1_ENGC"] == 10.0 * 512 / 32
    assert weights_pa["S1_L4_CC"] == 10.0


@pytest.mark.parametrize(
    ("part", "weight_pa"), [("[:10]", 10.0), ("[-1]", 10.0), ("[::2]", 178.2), ("[400:]", 10.0 * 13856 / 400)]
)
def test_a_sink_on_a_part_weighs_as_much_as_the_same_part_of_the_full_population_would(part, weight_pa):
    (sink,) = devices(f"sinks.0.populations=M1_L23_CC{part}").sinks
    assert sink.table.weight_pa * sink.scale == pytest.approx(weight_pa)


def test_a_population_that_does_not_exist_is_named_with_the_nearest():
    message = problems("sources.1.population=M1_L23_CE", "sinks.0.populations=M2_*")
    assert "sources.1.population = 'M1_L23_CE': no such population; did you mean M1_L23_CC?" in message
    assert "sinks.0.populations = 'M2_*': matches no population" in message


@pytest.mark.parametrize("name", ["engc source", "class", ""])
def test_a_source_needs_a_name_that_python_can_use(name):
    assert f"sources.0.name = {name!r}: must be a Python name" in problems(f"sources.0.name={name}")


@pytest.mark.parametrize("name", ["muscles", "joints", "tip", *OTHER_PORTS])
def test_a_source_cannot_take_the_name_of_another_port(name):
    assert f"port {name!r} of a source or sink: must not be one of muscles, joints, tip" in problems(
        f"sources.0.name={name}"
    )


def test_the_other_ports_are_those_that_a_run_has():
    experiment, none = load("mouse_m1"), devices("sinks=[]", "sources=[]")
    of_body = kinds.make_ports(experiment.body)
    known = ports_of_a_run(experiment, none, of_body, np.zeros(0), np.zeros(0))
    assert {*known, *OWN_PORTS} == {*of_body, *OTHER_PORTS}


def test_delays_off_the_time_grid_are_refused_all_together():
    message = problems("sources.1.delay_ms=1.55", "sinks.0.delay_ms=0.05")
    assert "sources.1.delay_ms = 1.55: must be a multiple of clock.resolution_ms = 0.1" in message
    assert "sinks.0.delay_ms = 0.05: must be a multiple of clock.resolution_ms = 0.1" in message
    assert len(message.splitlines()) == 2


def test_a_recording_that_would_hold_nothing_is_refused_unless_asked_for():
    message = problems("record.spikes=M1_L23_CV")
    assert "record.spikes = 'M1_L23_CV': matches no population; did you mean M1_L23_CC?" in message
    assert message.endswith("empty for none")
    assert "did you mean M1_L23_CC?" in message
    assert devices("record.spikes=").sinks == devices().sinks


def test_two_ports_of_one_name_are_refused():
    assert "port 'M1_L1_SBC' is there 2 times" in problems("sources.0.name=M1_L1_SBC")


@pytest.fixture
def buffers():
    return np.zeros(4), np.zeros(3)


@pytest.fixture
def ports(buffers):
    return make_ports(devices(), *buffers)


def test_ports_show_and_change_the_buffers_of_the_exchange(buffers, ports):
    readout, stimulus = buffers
    readout[:] = [1.0, 2.0, 3.0, 4.0]
    ports["l23_cc_source"].rate_hz = 800
    assert ports["M1_L23_CC"].voltage_mv == 3.0
    assert stimulus.tolist() == [0.0, 800.0, 0.0]
    assert ports["l23_cc_source"].rate_hz == 800.0


@pytest.mark.parametrize("rate_hz", [-1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused_and_the_old_one_stays(buffers, ports, rate_hz):
    ports["engc_source"].rate_hz = 5.0
    with pytest.raises(ValueError, match=f"engc_source.rate_hz = {rate_hz}"):
        ports["engc_source"].rate_hz = rate_hz
    assert buffers[1][0] == 5.0


def test_a_voltage_cannot_be_set(ports):
    with pytest.raises(AttributeError):
        ports["M1_L23_CC"].voltage_mv = 1.0


def test_a_misspelt_rate_is_no_new_attribute(ports):
    with pytest.raises(AttributeError):
        ports["engc_source"].rate = 800


def test_a_part_of_a_population_is_addressed_by_index_or_slice():
    found = devices(
        "sinks=[{populations='M1_L1_*[:10]', weight_pa=1.0, delay_ms=1.0},"
        "{populations='M1_L23_CC[-1]', name='last', weight_pa=1.0, delay_ms=1.0}]",
        "sources=[{name='half', population='M1_L5A_CC[::2]', weight=0.1, delay_ms=1.0}]",
        "record.spikes=['M1_L1_ENGC[0:5]', 'S1_*']",
    )
    assert [(sink.name, sink.neurons) for sink in found.sinks] == [
        ("M1_L1_ENGC", Address("M1_L1_ENGC", None, 10)),
        ("M1_L1_SBC", Address("M1_L1_SBC", None, 10)),
        ("last", Address("M1_L23_CC", -1)),
    ]
    assert found.sources[0].neurons == Address("M1_L5A_CC", None, None, 2)
    assert found.recorded == (Address("M1_L1_ENGC", 0, 5), Address("S1_L4_CC"))


def test_a_source_must_end_at_a_receptor_that_its_neurons_have():
    experiment = load("mouse_m1", ["sources.0.population=M1_L1_E*[:3]", "sources.0.receptor=4", "sources.1.receptor=2"])
    receptors = {"M1_L1_ENGC": range(1, 4), "M1_L23_CC": range(1), "M1_L5A_CC": range(1)}
    with pytest.raises(ValueError) as caught:
        resolve(experiment.config.devices, SIZES, FULL, (), receptors)
    assert str(caught.value).splitlines() == [
        "sources.0.receptor = 4: must be 1 or 2 or 3 for neurons of M1_L1_ENGC",
        "sources.1.receptor = 2: must be 0 for neurons of M1_L23_CC",
    ]


def test_parts_that_hold_no_neuron_or_several_populations_are_refused():
    message = problems(
        "sinks=[{populations='M1_L1_ENGC[32:]', weight_pa=1.0, delay_ms=1.0}]",
        "sources=[{name='back', population='M1_L5A_CC[::-1]', weight=0.1, delay_ms=1.0},"
        "{name='all', population='M1_*', weight=0.1, delay_ms=1.0}]",
    )
    assert "sinks.0.populations = 'M1_L1_ENGC[32:]': no neuron is left of M1_L1_ENGC, allowed are 0 to 31" in message
    assert "sources.1.population = 'M1_*': must be one population, but matches M1_L1_ENGC, M1_L1_SBC" in message
    assert "sources.0.population = 'M1_L5A_CC[::-1]': the step is -1, must be 1 or more" in message


M1 = ["M1_L1_ENGC", "M1_L1_SBC", "M1_L23_CC", "M1_L5A_CC"]
VOLTAGES = "{populations='M1_*', name='m1', weight_pa=1.0, delay_ms=1.0}"
DRIVES = "{populations='M1_*', name='drives', weight=0.1, delay_ms=1.0}"


def group_ports(*overrides: str, sinks: str = f"sinks=[{VOLTAGES}]"):
    """Devices with groups of sinks and of sources, their messages and ports."""
    found = devices(sinks, f"sources=[{DRIVES}]", *overrides)
    readout, stimulus = np.zeros(found.readout_size), np.zeros(found.stimulus_size)
    return found, readout, stimulus, make_ports(found, readout, stimulus)


def test_a_pattern_with_a_name_is_a_group_with_one_port_and_a_dataset_for_each_population():
    found, readout, stimulus, ports = group_ports()
    assert sorted(ports) == ["drives", "m1"]
    assert ports["m1"].populations == ports["drives"].populations == tuple(M1)
    assert [*map(list, (sink.datasets for sink in found.sinks))] == [[name] for name in M1]
    readout[:] = [1.0, 2.0, 3.0, 4.0]
    assert ports["m1"].voltage_mv.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert ports["m1"].voltage_mv[ports["m1"].index("M1_L23_CC")] == 3.0
    with pytest.raises(ValueError, match="m1: no population 'M1_L23_CE'; did you mean M1_L23_CC?"):
        ports["m1"].index("M1_L23_CE")
    ports["drives"].rate_hz = 7.0
    assert stimulus.tolist() == [7.0] * 4
    ports["drives"].rate_hz = [5.0, 6.0, 7.0, 8.0]
    assert stimulus.tolist() == ports["drives"].rate_hz.tolist() == [5.0, 6.0, 7.0, 8.0]


def test_a_group_of_one_population_is_a_group():
    _, _, _, ports = group_ports(sinks=f"sinks=[{VOLTAGES.replace('M1_*', 'S1_*')}]")
    assert ports["m1"].populations == ("S1_L4_CC",) and ports["m1"].voltage_mv.shape == (1,)


def test_what_does_not_fit_into_a_group_is_refused_and_the_old_stays():
    _, _, stimulus, ports = group_ports()
    ports["drives"].rate_hz = 3.0
    with pytest.raises(ValueError, match=r"drives.rate_hz: must be a number or have the shape \(4,\), not \(2,\)"):
        ports["drives"].rate_hz = [1.0, 2.0]
    with pytest.raises(ValueError, match=r"drives.rate_hz = .* must be a finite number, 0 or more"):
        ports["drives"].rate_hz = [1.0, 2.0, -3.0, 4.0]
    with pytest.raises(AttributeError):
        ports["m1"].voltage_mv = 1.0
    assert stimulus.tolist() == [3.0] * 4


def test_a_group_of_devices_with_several_values_has_an_array_for_each_of_them():
    sources = "sources=[{kind='ac', populations='M1_L1_*', name='drives', delay_ms=1.0}]"
    found = devices("sinks=[]", sources)
    stimulus = np.zeros(found.stimulus_size)
    port = make_ports(found, np.zeros(0), stimulus)["drives"]
    port.frequency_hz, port.amplitude_pa = [10.0, 20.0], 300.0
    assert stimulus.tolist() == [300.0, 0.0, 10.0, 0.0, 300.0, 0.0, 20.0, 0.0]
    assert list(found.sources[1].datasets) == [
        f"M1_L1_SBC.{each}" for each in ("amplitude", "offset", "frequency", "phase")
    ]


def test_two_groups_on_one_population_have_datasets_of_their_own():
    found, *_ = group_ports(sinks=f"sinks=[{VOLTAGES}, {VOLTAGES.replace('m1', 'again')}]")
    assert [sink.name for sink in found.sinks] == [f"{group}.{name}" for group in ("m1", "again") for name in M1]


def test_a_group_cannot_have_the_name_of_another_port():
    assert "port 'drives' is there 2 times" in problems(
        f"sinks=[{VOLTAGES.replace('m1', 'drives')}]", f"sources=[{DRIVES}]"
    )


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("weight=0.1", "population: missing; it must be given, or populations"),
        ("weight=0.1, population='M1_L23_CC', populations='M1_*'", "population: must not be there beside populations"),
        (
            "weight=-0.1, population='M1_L23_CC', receptor='inhibitory'",
            "weight = -0.1: must be 0 or more with receptor",
        ),
        (
            "weight=0.1, population='M1_L23_CC', indegree=3",
            'indegree = 3: must not be there without connector = "fixed',
        ),
        ("weight=0.1, population='M1_L23_CC', connector='fixed_indegree'", "indegree: must be given with connector"),
        (
            "weight=0.1, population='M1_L23_CC', connector='one_to_one', generators=2",
            "generators = 2: must not be there",
        ),
        (
            "kind='inhomogeneous_poisson', weight=0.1, population='M1_L23_CC', interval_ms=3.0",
            "interval_ms = 3.0: must divide",
        ),
        (
            "kind='noise', population='M1_L23_CC', interval_ms=0.05",
            "interval_ms = 0.05: must be a multiple of clock.res",
        ),
    ],
)
def test_keys_of_a_source_that_do_not_fit_together_are_told(keys, words):
    assert f"sources.0.{words}" in problems(f"sources=[{{name='input', delay_ms=1.0, {keys}}}]")


def test_plastic_synapses_need_two_steps_and_each_its_own_neuron():
    plastic = "name='input', weight=1.0, population='M1_L23_CC', synapse={U=0.5}"
    assert "sources.0.delay_ms = 0.1: must be at least 0.2" in problems(f"sources=[{{{plastic}, delay_ms=0.1}}]")
    drawn = f"sources=[{{{plastic}, delay_ms=1.0, connector='fixed_indegree', indegree=2}}]"
    assert "sources.0.connector = 'fixed_indegree': must be" in problems(drawn)


@pytest.mark.parametrize(
    ("text", "places"), [("E", range(9)), ("E[3]", [3]), ("E[-2]", [7]), ("E[-1]", [8]), ("E[1:7:3]", [1, 4])]
)
def test_an_address_means_what_python_means(text, places):
    address = Address.parse(text)
    assert list(range(9)[address.part]) == list(places)
    assert address.size(9) == len(places)


@pytest.mark.parametrize(
    ("texts", "meant"),
    [
        (["E"], range(200_000_000)),
        (["E[::2]", "E", "E[5]"], range(200_000_000)),
        (["E[10:20:2]", "E[12:18:4]", "E[14]"], range(10, 20, 2)),
        (["E[:4]", "E[2:6]"], [0, 1, 2, 3, 4, 5]),
        (["E[7]", "E[:9:3]", "E[7:]"], [0, 3, 6, *range(7, 12)]),
    ],
)
def test_neurons_that_several_addresses_mean_are_there_once(texts, meant):
    size = 200_000_000 if isinstance(meant, range) else 12
    found = places(map(Address.parse, texts), {"E": size})["E"]
    assert found == meant if isinstance(meant, range) else list(found) == meant


def test_places_that_are_no_range_join_those_of_addresses():
    """As of other names for neurons, which may mean any of them."""
    assert union([range(3), np.array([7, 2, 9])]).tolist() == [0, 1, 2, 7, 9]


@pytest.mark.parametrize(
    ("keys", "footprint"),
    [
        ("weight=0.1", (1, 800, 0)),
        ("weight=0.1, generators=3", (3, 2400, 0)),
        ("weight=0.1, connector='one_to_one'", (800, 800, 0)),
        ("weight=0.1, generators=9, connector='fixed_indegree', indegree=4", (9, 3200, 0)),
        ("weight=0.1, generators=2, synapse={U=0.5}", (2, 1600, 1600 * RELAY_BYTES)),
        ("kind='noise'", (1, 800, 0)),
        ("kind='current_vector'", (1, 800, 0)),
        ("kind='rate_vector', weight=0.1", (1, 800, 0)),
    ],
)
def test_generators_links_and_relays_of_sources_are_counted(keys, footprint):
    found = devices(f"sources=[{{name='input', population='M1_L23_CC', delay_ms=1.0, {keys}}}]")
    (source,) = found.footprints(SIZES)[:1]
    assert (source.generators, source.spread_links, source.more_bytes) == footprint and source.gathered_links == 0


@pytest.mark.parametrize(
    ("keys", "size", "gathered"),
    [("name='one'", 1, 800), ("connector='one_to_one'", 800, 0), ("connector='fixed_indegree', indegree=7", 1, 7)],
)
def test_integrators_and_links_of_sinks_are_counted(keys, size, gathered):
    found = devices("sources=[]", f"sinks=[{{populations='M1_L23_CC', weight_pa=1.0, delay_ms=1.0, {keys}}}]")
    (sink,) = found.footprints(SIZES)
    assert (found.readout_size, sink.gathered_links) == (size, gathered)


def test_a_vector_has_a_value_for_each_neuron_and_is_set_as_a_whole():
    found = devices("sources=[{name='pixels', kind='current_vector', population='M1_L1_ENGC[::2]', delay_ms=1.0}]")
    stimulus = np.zeros(found.stimulus_size)
    port = make_ports(found, np.zeros(found.readout_size), stimulus)["pixels"]
    port.amplitudes_pa = np.arange(16)
    assert stimulus.tolist() == [*range(16)]
    port.amplitudes_pa[3] = 5.0  # of a copy
    assert stimulus[3] == 3.0
    with pytest.raises(ValueError, match=r"pixels.amplitudes_pa: must be a number or have the shape \(16,\)"):
        port.amplitudes_pa = [1.0]
    with pytest.raises(ValueError, match="must be a finite number"):
        port.amplitudes_pa = [np.nan] * 16
