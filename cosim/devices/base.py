# SPDX-License-Identifier: GPL-2.0-or-later
"""What every kind of source and sink has to say of itself.

A kind is a table of ``experiment.toml``, derived from `SourceTable` or `SinkTable`. Its fields are the keys that it may
have there; its class attributes and methods say what is exchanged and what stands for it in NEST. Nothing here imports
NEST: a kind is handed the module where it is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from types import ModuleType
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field, PlainValidator

from cosim.devices.lists import ComingStep, SpikeList
from cosim.devices.ports import Port
from cosim.network.address import Address
from cosim.table import Table

# What a tap of nestlink adds to a neuron (tap.h), with its place in the neuron's table.
TAP_BYTES = 64


class Neurons(NamedTuple):
    """Neurons of a population, those of all ranks."""

    population: str
    node_ids: np.ndarray
    """(n,) int64, in ascending order."""
    numbers: range
    """Their numbers in the population, from 0."""


class Site(NamedTuple):
    """Where a device is made in NEST, on all brain ranks alike."""

    nest: ModuleType
    neurons: Any
    """The NodeCollection of the neurons that it drives or listens to."""
    scale: float
    """How many neurons of the full sheet each of these stands for; 1 where the model knows no larger sheet."""
    step_ms: float
    """The coupling step."""
    numbers: range = range(0)
    """The numbers of these neurons in their population."""
    name: str = ""
    """Of the device."""
    ends: tuple[Neurons, Neurons] | None = None
    """Of a sink that looks at a projection: where it comes from, and its targets."""
    make_multimeter: Callable[[Any, float, Sequence[str]], int] | None = None
    """``make_multimeter(neurons, interval_ms, variables)`` makes one for `Samples`; returns its node id."""


class Way(IntEnum):
    """How values of a source come to its nodes before a step."""

    PARAMETER = 0
    """A parameter is set to the value."""
    RATES = 1
    """Rates of an ``inhomogeneous_poisson_generator`` in equal parts of the step."""
    REGULAR_SPIKES = 2
    """The value is the rate at which a ``spike_generator`` fires regularly."""
    BY_TARGET = 3
    """Each value is for one target of a model of nestlink (``values_by_target.cpp``)."""
    ELSEWHERE = 4
    """Not as values: the node gets lists of spikes, and is here to be known as a source."""


class Setting(NamedTuple):
    """What is set of a node, or of several with consecutive ids, before every step where it has changed."""

    node_id: int
    parameter: str
    """NEST's name of it; for the log alone if it is set in another way than a parameter."""
    nodes: int = 1
    """All of them get the same."""
    way: Way = Way.PARAMETER
    values: int = 1
    """How many values of the source it takes."""
    targets: Sequence[int] = ()
    """Node ids in the order of the values, for `Way.BY_TARGET`."""

    @property
    def size(self) -> int:
        """Places in the message."""
        return self.values


class Reading(NamedTuple):
    """A variable of a node, anything in its status that is a number, that is read for a sink after every step.

    A count, such as ``n_events``, is read as what it grew by in the step. Of a device, which NEST has on all ranks, the
    values of all ranks are added up.
    """

    node_id: int
    variable: str
    scale: float = 1.0
    is_count: bool = False

    @property
    def size(self) -> int:
        """Places in the message."""
        return 1


class Samples(NamedTuple):
    """What a multimeter samples in a step, which is read after it: all of a variable, sample after sample.

    A multimeter that samples less than once a step keeps its last sample; NaN stands for none yet. Each neuron is
    sampled where it is; on other ranks its places stay 0.
    """

    node_id: int
    neurons: np.ndarray
    """(n,) int64, ids of the neurons in ascending order."""
    interval_ms: float
    samples: int
    """In each step."""
    variables: int

    @property
    def size(self) -> int:
        """Places in the message."""
        return self.variables * self.samples * len(self.neurons)


class Weights(NamedTuple):
    """The weights of all synapses from some neurons onto others, read after every ``every`` steps and before the first.

    First their sum on a rank in two parts, which add up over ranks without rounding: ``(high 2^40 + low) / 2^44``. Then
    how many weights are below the first edge, from it to the next, ..., and from the last on.
    """

    name: str
    """Of the sink, for the record."""
    sources: Neurons
    targets: Neurons
    edges: tuple[float, ...]
    every: int
    full_every: int
    """All weights are kept for the record at the start and after so many steps each; 0 for never."""

    @property
    def size(self) -> int:
        """Places in the message."""
        return 2 + len(self.edges) + 1


class Tapping(NamedTuple):
    """Neurons of which spikes are noted for a sink, without a node and without connections.

    The value of the sink is how many there were in the last ``window_steps`` steps; if that is 0, in the step that is
    over, and the spikes themselves go with it.
    """

    node_ids: np.ndarray
    """(n,) int64."""
    numbers: range
    """What each is called in the list."""
    window_steps: int

    @property
    def size(self) -> int:
        """Places in the message."""
        return 1


class Injection(NamedTuple):
    """Nodes to which a source hands lists of spikes; its value is how many there are."""

    generator_id: int
    """A node that sends spikes to all neurons; of all nodes of the source it has the smallest id."""
    first_injector_id: int = 0
    """The node that sends them to the first neuron; those for the others follow. 0 if there are none."""
    numbers: range = range(0)
    """What the neurons are called in the list."""


class Footprint(NamedTuple):
    """What a device takes in NEST; tells before a run whether memory and numbers of connections suffice."""

    generators: int = 0
    """Nodes of which every thread has a copy with connections of its own."""
    spread_links: int = 0
    """Connections that are where the neurons are, on all virtual processes."""
    gathered_links: int = 0
    """Connections that are all on the virtual process of the one node to which they lead."""
    more_bytes: int = 0
    """Memory besides nodes and connections, on all ranks together."""


class DevicePart(NamedTuple):
    """Some values of a device that lie one after the other in the message, and have a dataset of their own.

    The dataset bears the name of the device, or ``device.name``. Several samples of each step are an axis of their own
    before the others, the last being that of the step's end.
    """

    name: str
    shape: tuple[int, ...]
    """Empty for a number."""
    quantity: str
    unit: str
    attributes: dict[str, Any] = {}
    """More that is told of it in ``run.h5``."""

    @property
    def size(self) -> int:
        """How many values."""
        return math.prod(self.shape)


class PortSite(NamedTuple):
    """What a port may know of its device besides its place in the message."""

    parts: tuple[DevicePart, ...]
    """What the values are."""
    numbers: range
    """The numbers in their population of the neurons that it belongs to."""
    coming: ComingStep
    """The step in which acts what transfer functions set now."""
    spikes: SpikeList | None
    """Of a kind that `has_list`: the spikes that it reads or sends."""


class DeviceTable(Table):
    """What sources and sinks have in common; ``kind`` is a Literal with its own name as the default."""

    kind: str

    quantity: ClassVar[str]
    """What is exchanged, in words, such as ``rate``."""
    unit: ClassVar[str]
    """Its unit, such as ``Hz``; ``1`` for mere numbers."""
    model: ClassVar[str]
    """NEST's model of the node that stands for it."""
    has_list: ClassVar[bool] = False
    """Whether spikes go with its value, which says how many, in a message of their own."""
    port: ClassVar[type[Port] | None] = None
    """What transfer functions see of it; a kind of which `make_port` makes something else has no groups."""

    @property
    def connection_delay_ms(self) -> float | None:
        """The delay of its connections; None for a kind that makes none."""
        return getattr(self, "delay_ms", None)

    def size(self, neurons: int) -> int:
        """How many values of float64 it exchanges in every step if it belongs to so many neurons."""
        return 1

    def parts(self, neurons: int, step_ms: float) -> tuple[DevicePart, ...]:
        """The values that it exchanges in every step of ``step_ms``, in the order of the message, as they are recorded.

        For a kind of which more than the number of neurons decides on its size, or with several quantities.
        """
        size = self.size(neurons)
        return (DevicePart("", (size,) if size > 1 else (), self.quantity, self.unit),)

    def problems(self, step_ms: float, resolution_ms: float) -> Iterator[str]:
        """What is wrong with its keys on these clocks, such as ``interval_ms = 3: must be ...``; one line each."""
        return iter(())

    def make_port(self, name: str, values: np.ndarray) -> object:
        """What transfer functions see of it; ``values``, (size,) float64, are its place in the message.

        A port has ``__slots__``, so that a mistyped attribute is an error, and refuses what is no value.
        """
        if self.port is None:
            raise NotImplementedError
        return self.port(name, values)

    def make_group_port(self, name: str, values: np.ndarray, populations: Sequence[str]) -> Port:
        """The port of a group on several populations; ``values`` are those of all of them, (sum of sizes,)."""
        assert self.port is not None  # groups of kinds without are refused
        return self.port(name, values if self.is_per_neuron else values.reshape(len(populations), -1), populations)

    @property
    def is_group(self) -> bool:
        """Whether there is one for each of several populations, which have one port."""
        return False

    @property
    def is_per_neuron(self) -> bool:
        """Whether it has a value for each neuron."""
        return self.size(1) != self.size(2)

    def open_port(self, name: str, values: np.ndarray, site: PortSite) -> object:
        """`make_port` for a kind of which the port has to know more than the values."""
        return self.make_port(name, values)

    def footprint(self, neurons: int) -> Footprint:
        """What it takes in NEST if it belongs to so many neurons."""
        raise NotImplementedError


RECEPTORS = {"excitatory": 1, "inhibitory": -1}


def _check_receptor(receptor: Any) -> int | str:
    is_number = isinstance(receptor, int) and receptor >= 0
    if not is_number and not (isinstance(receptor, str) and receptor in RECEPTORS):
        raise ValueError('must be a whole number, 0 or more, or "excitatory" or "inhibitory"')
    return receptor


class SourceTable(DeviceTable):
    """What all sources have: neurons that they drive, through connections of a generator."""

    name: str
    population: str | None = Field(None, min_length=1, description="name, or a part such as E[0:100]")
    populations: str | None = Field(
        None, min_length=1, description="instead of population: a shell pattern such as M1_*; makes a group"
    )
    weight: float = Field(description="in the unit of the population's neurons: nS or pA")
    delay_ms: float = Field(gt=0)
    receptor: Annotated[int | str, PlainValidator(_check_receptor)] = Field(
        0,
        description='port of neurons that have several: 1, 2, ... of ..._multisynapse; or "excitatory" or '
        '"inhibitory", which is the sign of the weight',
    )

    @property
    def address(self) -> str:
        """``population`` or ``populations``, whichever is there."""
        return self.population or self.populations or ""

    @property
    def is_group(self) -> bool:
        """Whether there is one for each of several populations, which have one port."""
        return self.populations is not None

    @property
    def receptor_port(self) -> int:
        """NEST's number of the receptor."""
        return 0 if isinstance(self.receptor, str) else self.receptor

    @property
    def static_synapse(self) -> dict[str, Any]:
        """NEST's parameters of a synapse without plasticity."""
        sign = RECEPTORS[self.receptor] if isinstance(self.receptor, str) else 1
        return {"weight": sign * self.weight, "delay": self.delay_ms, "receptor_type": self.receptor_port}

    def problems(self, step_ms: float, resolution_ms: float) -> Iterator[str]:
        """A source needs neurons; with a word for the receptor a weight has no sign."""
        if (self.population is None) == (self.populations is None):
            is_both = self.population is not None
            yield "population: " + (
                "must not be there beside populations" if is_both else "missing; it must be given, or populations"
            )
        if isinstance(self.receptor, str) and self.weight < 0:
            yield f"weight = {self.weight}: must be 0 or more with receptor = {self.receptor!r}"
        yield from super().problems(step_ms, resolution_ms)

    def create(self, site: Site) -> Sequence[Setting | Injection]:
        """Make it in NEST; returns what is set before every step, as many as its size. Collective, on brain ranks.

        The values in NEST are those that a port begins with.
        """
        raise NotImplementedError

    def connect(self, site: Site, generator: Any) -> None:
        """Connect a generator with all neurons of the site."""
        site.nest.Connect(generator, site.neurons, "all_to_all", self.static_synapse)

    def footprint(self, neurons: int) -> Footprint:
        """That of one generator with a connection to each neuron."""
        return Footprint(generators=1, spread_links=neurons)


class SinkTable(DeviceTable):
    """What all sinks have: neurons that they listen to, those of each population that matches."""

    populations: str = Field(
        min_length=1,
        description="name or shell pattern such as M1_*, or a part such as E[0:100]; each gets a sink of its name",
    )
    name: str | None = Field(
        None, description="another name than the population's; for several of a pattern such as M1_* that of a group"
    )

    @property
    def address(self) -> str:
        """As sources call it."""
        return self.populations

    @property
    def is_group(self) -> bool:
        """Whether those of all populations that match have one port."""
        return self.name is not None and Address.parse(self.populations).is_pattern

    @property
    def source_population(self) -> str | None:
        """Where the projection comes from that it looks at; None for a kind that looks at neurons."""
        return getattr(self, "source", None)

    @property
    def bytes_per_synapse(self) -> int:
        """Memory that it takes for each synapse of the projection that it looks at."""
        return 0

    def create(self, site: Site) -> Sequence[Reading | Samples | Weights | Tapping]:
        """Make it in NEST; returns what is read after every step, as much as its size. Collective, on brain ranks."""
        raise NotImplementedError

    def settle(self, values: np.ndarray) -> None:
        """Make of what was added up over ranks what ports and results show, in place. After each step, body rank."""

    def footprint(self, neurons: int) -> Footprint:
        """That of one node with a connection from each neuron."""
        return Footprint(gathered_links=neurons)
