# SPDX-License-Identifier: GPL-2.0-or-later
"""How much memory a network will take in NEST, known before NEST starts; what does not fit is refused.

Sizes of C++ objects follow from NEST 3.10.0's headers; all others were measured with NEST 3.10.0 (PyPI wheel
and MPI build, mpich 5.0, glibc, x86-64) as differences of VmRSS between processes of several sizes. For motor
cortex as the benchmark built it, at 0.1, 0.25 and 0.5 mm (0.26, 7.2 and 60.6 million synapses), on 1 x 1, 1 x
2, 1 x 4 and 2 x 2 ranks x threads, the prediction lay within 1 % of the largest resident memory of a brain
rank. Nothing here imports NEST.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosim.devices.devices import Devices
from cosim.errors import ConfigurationError
from cosim.experiment.brains import TableBrain
from cosim.experiment.config import Experiment
from cosim.network.address import number_of_places
from cosim.network.network import Network, Population, drive_links, expected_synapses
from cosim.parallel.machine import Machine

# A brain rank after `import nest` with all that cosim imports, before any neuron: 164 to 170 MB.
PROCESS_BYTES = 170_000_000
# The body rank with PyBullet and, at the end, matplotlib: 245 MB with the wheel, 295 MB with NEST's MPI
# environment.
BODY_PROCESS_BYTES = 300_000_000

# Of one neuron: the object with its parameters, state and solver, and the number of its ring buffers
# (doubles). What was measured for 150,000 neurons more, less the tables and the ring buffers that are counted
# below.
NODE_BYTES = {
    "iaf_cond_alpha": (1940, 3),
    "iaf_cond_exp": (1720, 3),
    "iaf_psc_alpha": (1060, 3),
    "iaf_psc_exp": (1010, 3),
    "iaf_psc_alpha_multisynapse": (1940, 1),  # and one ring buffer more for each receptor
    "parrot_neuron": (1060, 1),
}
LARGEST_NODE = (1940, 3)
# Connection tables of every node, one entry for each synapse model that NEST knows: a pointer in
# TargetTableDevices and a vector in TargetTable (target_table.cpp, secondary_send_buffer_pos_), whether the
# model is used or not.
MODEL_TABLE_BYTES = 8 + 24
SYNAPSE_MODELS = 77  # in NEST 3.10.0; CopyModel adds to it

# sizeof(ConnectionT): a target pointer, a receptor and delay make 24 bytes, own variables come on top.
# Measured with 4 and 8 million synapses to within 1 %.
SYNAPSE_BYTES = {
    "static_synapse_hom_w": 24,
    "static_synapse": 32,
    "bernoulli_synapse": 40,
    "stdp_synapse_hom": 48,
    "stdp_pl_synapse_hom": 48,
    "jonke_synapse": 48,
    "ht_synapse": 72,
    "tsodyks2_synapse": 80,
    "quantal_stp_synapse": 80,
    "vogels_sprekeler_synapse": 80,
    "stdp_synapse": 96,
    "tsodyks_synapse": 96,
    "stdp_facetshw_synapse_hom": 104,
    "stdp_triplet_synapse": 112,
}
LARGEST_SYNAPSE = 112
# The _hpc variants keep an index of 2 bytes in place of pointer and receptor.
HPC_SAVES_BYTES = 16
# Every synapse has its source in NEST's source table (source.h), which it keeps after sorting in place.
SOURCE_BYTES = 8
# Tables of spike delivery of one sending neuron on a rank that it has synapses on: 320 bytes with 1 thread,
# 343 with 2, 400 with 4; more with more threads.
SENDER_BYTES, SENDER_BYTES_PER_THREAD = 295, 26
# Synapses from and to devices lie in blocks of 1024 (block_vector.h): one block at least for each generator
# and thread, however few synapses are in it.
BLOCK = 1024
GENERATOR_BLOCK_BYTES = BLOCK * SYNAPSE_BYTES["static_synapse"]
# What nestlink's journal adds to each recorded neuron (journal.cpp), with its place in the neuron's table.
TAP_BYTES = 48

# Parameters of brain models that scale a network, in the order in which they are tried.
SIZE_PARAMETERS = ("patch_mm", "scale")


@dataclass(frozen=True)
class Memory:
    """Predicted peak in bytes of a run on ``ranks`` brain ranks with ``threads`` each and a body rank."""

    ranks: int
    threads: int
    bytes_per_rank: int
    body_bytes: int = BODY_PROCESS_BYTES

    @property
    def bytes(self) -> int:
        """Of all ranks together."""
        return self.ranks * self.bytes_per_rank + self.body_bytes

    def on_machine(self, machine: Machine) -> int:
        """Of the ranks that are there."""
        return machine.brain_ranks * self.bytes_per_rank + machine.has_body * self.body_bytes

    def lacking(self, machine: Machine) -> int:
        """How much of it is not available there; 0 or less if it fits."""
        return self.on_machine(machine) - machine.available_bytes


@dataclass(frozen=True)
class RankLoad:
    """What all brain ranks hold together; from this, `RankLoad.split` gives the share of one.

    ``synapses`` is the exact mean number by synapse model, ``recorded`` the number of neurons whose spikes
    are recorded, ``more_bytes`` are those that devices take besides.
    """

    network: Network
    synapses: Mapping[str, float]
    generators: int
    generator_links: int
    recorded: int
    ring_slots: int
    more_bytes: int = 0

    @cached_property
    def node_bytes(self) -> int:
        """Of all neurons and relays."""
        copies = sum(bool(each.synapse_parameters) for each in self.network.projections)
        tables = MODEL_TABLE_BYTES * (SYNAPSE_MODELS + copies)
        return sum(each.size * (tables + node_bytes(each, self.ring_slots)) for each in self.network.populations)

    @cached_property
    def synapse_bytes(self) -> float:
        """Of all synapses, relay links and links to sinks among them."""
        return sum(number * (synapse_bytes(model) + SOURCE_BYTES) for model, number in self.synapses.items())

    @property
    def assumptions(self) -> list[str]:
        """What was assumed of models that are not known here, one line each."""
        neurons = {each.neuron_model: each for each in self.network.populations if each.neuron_model not in NODE_BYTES}
        synapses = [model for model in self.synapses if _plain(model) not in SYNAPSE_BYTES]
        known = "is not known; {:,} bytes for each of them are assumed, as of the largest model that is known"
        return [
            *(
                f"memory of neurons of {model} {known.format(node_bytes(each, self.ring_slots))}"
                for model, each in neurons.items()
            ),
            *(f"memory of synapses of {model} {known.format(synapse_bytes(model))}" for model in synapses),
        ]

    def split(self, ranks: int, threads: int) -> Memory:
        """The memory on ``ranks`` brain ranks with ``threads`` each; virtual processes share evenly."""
        shared = self.node_bytes + self.synapse_bytes + TAP_BYTES * self.recorded
        shared += SYNAPSE_BYTES["static_synapse"] * self.generator_links + self.more_bytes
        neurons = sum(each.size for each in self.network.populations)
        senders = min(neurons, sum(self.synapses.values()) / ranks)
        own = senders * (SENDER_BYTES + SENDER_BYTES_PER_THREAD * threads)
        own += GENERATOR_BLOCK_BYTES * self.generators * threads
        return Memory(ranks, threads, round(PROCESS_BYTES + shared / ranks + own))


def node_bytes(population: Population, ring_slots: int) -> int:
    """Of one neuron without its connection tables; an unknown model counts as the largest one."""
    own, rings = NODE_BYTES.get(population.neuron_model, LARGEST_NODE)
    if population.neuron_model.endswith("_multisynapse"):
        rings += population.time_constants
    return own + rings * 8 * ring_slots


def synapse_bytes(model: str) -> int:
    """Of one connection object; an unknown model counts as the largest one."""
    plain = SYNAPSE_BYTES.get(_plain(model), LARGEST_SYNAPSE)
    return plain - HPC_SAVES_BYTES if model.endswith("_hpc") else plain


def _plain(model: str) -> str:
    return model.removesuffix("_hpc")


def weigh(network: Network, expected: np.ndarray, devices: Devices, resolution_ms: float) -> RankLoad:
    """Count what a network and its devices will hold; ``expected`` as from ``expected_synapses``."""
    synapses = dict.fromkeys((each.synapse_model for each in network.projections), 0.0)
    for projection, number in zip(network.projections, expected, strict=True):
        synapses[projection.synapse_model] += float(number)
    footprints = devices.footprints(network.sizes)
    gathered = sum(each.gathered_links for each in footprints)
    synapses["static_synapse"] = synapses.get("static_synapse", 0.0) + gathered
    return RankLoad(
        network,
        synapses,
        generators=len(network.drives) + sum(each.generators for each in footprints),
        generator_links=drive_links(network) + sum(each.spread_links for each in footprints),
        recorded=number_of_places(devices.recorded, network.sizes),
        ring_slots=_ring_slots(network, devices, resolution_ms),
        more_bytes=sum(each.more_bytes for each in footprints) + _weight_bytes(network, expected, devices),
    )


def _weight_bytes(network: Network, expected: np.ndarray, devices: Devices) -> int:
    """Of sinks that look at the synapses of projections."""
    found = 0.0
    for sink in devices.sinks:
        if sink.source:
            ends = sink.source.pattern, sink.neurons.pattern
            there = np.array([(each.source, each.target) == ends for each in network.projections], dtype=bool)
            found += sink.table.bytes_per_synapse * float(expected[there].sum())
    return round(found)


def device_links(network: Network, devices: Devices) -> int:
    """Connections of the experiment's devices, sinks and sources; spikes are recorded without any."""
    footprints = devices.footprints(network.sizes)
    return sum(each.spread_links + each.gathered_links for each in footprints)


def _ring_slots(network: Network, devices: Devices, resolution_ms: float) -> int:
    """Length of NEST's ring buffers: smallest and largest delay together (ring_buffer.cpp)."""
    tables = [*(each.table for each in devices.sinks), *(each.table for each in devices.sources)]
    of_devices = [each.connection_delay_ms for each in tables]
    of_network = [*(each.delay_ms for each in network.projections), *(each.delay_ms for each in network.drives)]
    delays_ms = [*of_network, *(each for each in of_devices if each is not None)] or [1.0]
    return round((min(delays_ms) + max(delays_ms)) / resolution_ms)


# What fits into a machine


def check(
    experiment: Experiment,
    network: Network,
    devices: Devices,
    brain_ranks: int,
    machines: Sequence[Machine],
    force: bool = False,
) -> list[str]:
    """Refuse a network that will not fit into one of ``machines``, before anything is built. Body rank.

    Returns warnings for the user: what had to be assumed, and the refusal itself if ``force`` goes past it.

    Raises:
        ConfigurationError: with the prediction for the fullest machine, how it splits, and what would fit.
    """
    threads = experiment.config.brain.virtual_processes // brain_ranks
    load = weigh(network, expected_synapses(network), devices, experiment.config.clock.resolution_ms)
    memory = load.split(brain_ranks, threads)
    fullest = max(machines, key=memory.lacking)
    if memory.lacking(fullest) <= 0:
        return load.assumptions
    refusal = _refusal(experiment, devices, memory, machines, fullest)
    if force:
        return [*load.assumptions, f"started all the same, by --force: {refusal}"]
    raise ConfigurationError("\n".join([f"{refusal}; --force starts it all the same", *load.assumptions]))


def _refusal(
    experiment: Experiment, devices: Devices, memory: Memory, machines: Sequence[Machine], fullest: Machine
) -> str:
    """What does not fit, and what would."""
    where = "this machine" if len(machines) == 1 else f"the fullest of {len(machines)} machines"
    body = f", the body rank {_gb(memory.body_bytes)} GB" if fullest.has_body else ""
    return (
        f"the brain needs about {_gb(memory.on_machine(fullest))} GB of memory on {where}, "
        f"but {_gb(fullest.available_bytes)} GB are available: {fullest.brain_ranks} of {memory.ranks} brain ranks "
        f"take {_gb(memory.bytes_per_rank)} GB each{body}; "
        + "; ".join(_remedies(experiment, devices, memory, machines, fullest))
    )


def _remedies(
    experiment: Experiment, devices: Devices, memory: Memory, machines: Sequence[Machine], fullest: Machine
) -> list[str]:
    """What would fit: a smaller network, or more machines like the fullest one."""

    def fits(network: Network) -> bool:
        load = weigh(network, expected_synapses(network), devices, experiment.config.clock.resolution_ms)
        smaller = load.split(memory.ranks, memory.threads)
        return all(smaller.lacking(machine) <= 0 for machine in machines)

    name = next((each for each in SIZE_PARAMETERS if each in experiment.brain_parameters), None)
    largest = largest_value(experiment, name, fits) if name else None
    found = [f"brain.{name} = {largest:g} would fit"] if largest else []
    beyond_processes = memory.ranks * (memory.bytes_per_rank - PROCESS_BYTES)
    room = fullest.available_bytes - fullest.brain_ranks * PROCESS_BYTES - memory.body_bytes
    if room > 0:
        number = math.ceil(beyond_processes / room)
        found.append(f"{number} machines like this one with brain ranks on each would be enough")
    return found or ["it fits at no size"]


def largest_value(experiment: Experiment, name: str, fits: Callable[[Network], bool]) -> float | None:
    """The largest multiple of 0.01 of a brain's parameter, below its value, with which the network ``fits``.

    Bisection: a network grows with the parameter. None where not even the smallest one fits that has no empty
    population.
    """

    brain = experiment.brain
    assert isinstance(brain, TableBrain)  # as there is a network

    def network(hundredths: int) -> Network | None:
        parameters = {**experiment.brain_parameters, name: hundredths / 100}
        try:
            return brain.network(parameters, experiment.config.clock.resolution_ms)
        except ValueError:
            return None  # too small to be built

    def too_large(hundredths: int) -> bool:
        candidate = network(hundredths)
        return candidate is not None and not fits(candidate)

    value = experiment.brain_parameters[name]
    best = bisect_left(range(1, math.ceil(100 * value)), True, key=too_large)  # in a range from 1 place = value
    return best / 100 if best and network(best) is not None else None


def _gb(number: float) -> str:
    return f"{number / 1e9:.3g}"
