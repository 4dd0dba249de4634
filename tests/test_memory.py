# SPDX-License-Identifier: GPL-2.0-or-later
"""The memory that a network is predicted to take, and the refusal of what does not fit."""

from __future__ import annotations

import re

import pytest

from cosim.devices.devices import Devices
from cosim.engines.nest import memory
from cosim.errors import ConfigurationError
from cosim.experiment.config import load
from cosim.experiment.options import parse
from cosim.modes.choice import choose
from cosim.network.address import Address
from cosim.network.layout import Unplaced
from cosim.network.network import Drive, Network, Population, Projection, expected_synapses
from cosim.network.rules import FixedIndegree
from cosim.network.values import Constant
from cosim.parallel.machine import Machine
from cosim.plan import Prepared, prepare, resolve_devices
from cosim.results.run_data import RunData

NOTHING = Devices((), (), ())


def network(
    neurons: int = 1000, model: str = "iaf_psc_alpha", synapse: str = "static_synapse", indegree: int = 100
) -> Network:
    population = Population("A", "R", model, {}, Unplaced(neurons))
    rule = FixedIndegree(indegree)
    return Network((population,), (Projection("A", "A", rule, Constant(1.0), 1.5, synapse_model=synapse),))


def bytes_of(tables: Network, ranks: int = 1, threads: int = 1, devices: Devices = NOTHING) -> int:
    return memory.weigh(tables, expected_synapses(tables), devices, 0.1).split(ranks, threads).bytes_per_rank


def test_a_static_synapse_takes_forty_bytes_and_an_hpc_one_sixteen_less():
    # NEST 3.10.0: 8 million of them grew the process by 40.1 and 24.1 bytes each.
    more = bytes_of(network(indegree=1100)) - bytes_of(network(indegree=100))
    assert more == 1_000_000 * 40
    less = bytes_of(network()) - bytes_of(network(synapse="static_synapse_hpc"))
    assert less == 100_000 * 16


def test_memory_grows_linearly_with_neurons_at_the_same_indegree():
    one, two, three = (bytes_of(network(neurons)) for neurons in (1000, 2000, 3000))
    assert three - two == pytest.approx(two - one, rel=1e-6)
    assert two > one


@pytest.mark.parametrize("model", [*memory.NODE_BYTES, "some_model_of_an_extension"])
def test_a_neuron_takes_some_kilobytes(model):
    one, two = (bytes_of(network(neurons, model, indegree=0)) for neurons in (1000, 2000))
    assert 3000 < (two - one) / 1000 < 6000


def test_ranks_share_what_is_not_their_own():
    whole, half = bytes_of(network(indegree=1000)), bytes_of(network(indegree=1000), ranks=2)
    senders = 1000 * (memory.SENDER_BYTES + memory.SENDER_BYTES_PER_THREAD)
    assert half - memory.PROCESS_BYTES - senders == pytest.approx((whole - memory.PROCESS_BYTES - senders) / 2)


def test_a_recorded_neuron_takes_next_to_nothing_and_counts_once():
    recorded = Devices((), (), (Address.parse("A[:10]"), Address.parse("A[5:20]")))
    assert bytes_of(network(), devices=recorded) - bytes_of(network()) == 20 * memory.TAP_BYTES


def test_longer_delays_make_longer_ring_buffers():
    longer = Network(network().populations, network().projections, (Drive("A", 0.0, 1.0, 11.5, first=1000),))
    block = memory.GENERATOR_BLOCK_BYTES
    # 1.5 + 11.5 ms in place of 1.5 + 1.5 ms: 100 steps more in each of 3 buffers of doubles.
    assert bytes_of(longer) - bytes_of(network()) == 1000 * 3 * 8 * 100 + block


def mouse(*overrides: str, available: float, brain_ranks: int = 1, elsewhere: tuple[Machine, ...] = ()) -> None:
    experiment = load("mouse_m1", overrides)
    tables = experiment.network()
    devices = resolve_devices(experiment, tables.sizes)
    ranks_here = brain_ranks - sum(each.brain_ranks for each in elsewhere)
    machines = Machine(ranks_here, True, int(available)), *elsewhere
    memory.check(experiment, tables, devices, brain_ranks, machines)


def test_what_fits_is_not_refused():
    mouse(available=2e9)
    others = tuple(Machine(1, False, int(8e9)) for _ in range(3))
    mouse("brain.patch_mm=1.0", available=8e9, brain_ranks=4, elsewhere=others)


def test_the_machine_decides_that_has_least_room_for_its_ranks():
    body_alone, room = {"available": 1e9, "brain_ranks": 4}, int(15e9)
    mouse("brain.patch_mm=1.0", **body_alone, elsewhere=(Machine(2, False, room), Machine(2, False, room)))
    words = r"the fullest of 3 machines, but 15 GB are available: 3 of 4 .* each;"
    with pytest.raises(ConfigurationError, match=words):
        mouse("brain.patch_mm=1.0", **body_alone, elsewhere=(Machine(1, False, room), Machine(3, False, room)))


def test_what_does_not_fit_is_refused_with_what_would():
    with pytest.raises(ConfigurationError) as refusal:
        mouse("brain.patch_mm=1.0", available=8e9)
    message = str(refusal.value)
    for words in (
        "needs about",
        "8 GB are available",
        "1 of 1 brain ranks take",
        "the body rank 0.3 GB",
        "machines",
    ):
        assert words in message
    largest_mm = float(re.search(r"brain\.patch_mm = ([\d.]+) would fit", message)[1])
    assert 0.5 < largest_mm < 0.8
    mouse(f"brain.patch_mm={largest_mm}", available=8e9)
    with pytest.raises(ConfigurationError):
        mouse(f"brain.patch_mm={largest_mm + 0.01}", available=8e9)


def test_where_processes_alone_do_not_fit_no_size_is_proposed():
    with pytest.raises(ConfigurationError, match="fits at no size"):
        mouse(available=100e6, brain_ranks=4)


def test_models_that_are_not_known_are_told_with_what_was_assumed():
    unknown = network(model="my_neuron", synapse="my_synapse_hpc")
    load = memory.weigh(unknown, expected_synapses(unknown), NOTHING, 0.1)
    # 1940 bytes and three ring buffers of 1.5 + 1.5 ms; 112 bytes without the 16 that _hpc saves.
    assert load.assumptions == [
        "memory of neurons of my_neuron is not known; 2,660 bytes for each of them are assumed, "
        "as of the largest model that is known",
        "memory of synapses of my_synapse_hpc is not known; 96 bytes for each of them are assumed, "
        "as of the largest model that is known",
    ]
    known = network(synapse="static_synapse_hpc")
    assert memory.weigh(known, expected_synapses(known), NOTHING, 0.1).assumptions == []


def planned(*words: str, available: float) -> Prepared:
    """A run of one brain rank on a machine with so much memory, as far as its plan."""
    return prepare(choose(parse(words, quiet=False)), 1, [Machine(1, True, int(available))])


def test_force_goes_past_a_prediction_with_its_numbers_and_past_nothing_else(tmp_path):
    words = ("mouse_m1", "--out", str(tmp_path / "run"))
    with pytest.raises(ConfigurationError, match="but 0.4 GB are available.*; --force starts it all the same"):
        planned(*words, available=4e8)
    assert not (tmp_path / "run").exists()
    assert planned(*words, available=8e9).warnings == ()
    (tmp_path / "run/shards").rmdir()
    (warning,) = planned(*words, "--force", available=4e8).warnings
    assert re.search(r"by --force: the brain needs about [\d.]+ GB of memory on this machine, but 0.4 GB are", warning)
    with pytest.raises(ConfigurationError, match="connections by static_synapse, but NEST holds at most") as refusal:
        planned("mouse_brain", "--set", "brain.patch_mm=1.0", "--force", available=1e9)
    assert "GB" not in str(refusal.value)


def test_a_forced_run_says_so_in_its_log_and_its_provenance(launch, tmp_path):
    words = ("run.py", "mouse_m1", "--set", "brain.patch_mm=0.1", "--steps", 1, "--out", tmp_path / "run")
    little = {"SLURM_MEM_PER_NODE": "400"}
    refused = launch(2, *words, environment=little)
    assert refused.returncode == 2
    assert "0.419 GB are available" in refused.stderr
    forced = launch(2, *words, "--force", environment=little)
    assert forced.returncode == 0, forced.stderr
    assert "WARNING started all the same, by --force: the brain needs about" in (tmp_path / "run/log.txt").read_text()
    assert RunData(tmp_path / "run").provenance["force"] == 1
