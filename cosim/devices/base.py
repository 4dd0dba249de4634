# SPDX-License-Identifier: GPL-2.0-or-later
"""What every kind of source and sink has to say of itself.

A kind is a table of ``experiment.toml``, derived from `SourceTable` or `SinkTable`. Its fields are the keys that it may
have there; its class attributes and methods say what is exchanged and what stands for it in NEST. Nothing here imports
NEST: a kind is handed the module where it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from cosim.devices.lists import ComingStep, SpikeList
from cosim.table import Table

# What a tap of nestlink adds to a neuron (tap.h), with its place in the neuron's table.
TAP_BYTES = 64


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


class PortSite(NamedTuple):
    """What a port may know of its device besides its place in the message."""

    numbers: range
    """The numbers in their population of the neurons that it belongs to."""
    coming: ComingStep
    """The step in which acts what transfer functions set now."""
    spikes: SpikeList | None
    """Of a kind that `has_list`: the spikes that it reads or sends."""


class Setting(NamedTuple):
    """A parameter of a node that is set to a value of a source before every step."""

    node_id: int
    parameter: str


class Reading(NamedTuple):
    """A variable of a node, anything in its status that is a number, that is read for a sink after every step.

    A count, such as ``n_events``, is read as what it grew by in the step. Of a device, which NEST has on all ranks, the
    values of all ranks are added up.
    """

    node_id: int
    variable: str
    scale: float = 1.0
    is_count: bool = False


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

    @property
    def connection_delay_ms(self) -> float | None:
        """The delay of its connections; None for a kind that makes none."""
        return getattr(self, "delay_ms", None)

    def size(self, neurons: int) -> int:
        """How many values of float64 it exchanges in every step if it belongs to so many neurons."""
        return 1

    def make_port(self, name: str, values: np.ndarray) -> object:
        """What transfer functions see of it; ``values``, (size,) float64, are its place in the message.

        A port has ``__slots__``, so that a mistyped attribute is an error, and refuses what is no value.
        """
        raise NotImplementedError

    def open_port(self, name: str, values: np.ndarray, site: PortSite) -> object:
        """`make_port` for a kind of which the port has to know more than the values."""
        return self.make_port(name, values)

    def problems(self, step_ms: float) -> Iterator[str]:
        """What is wrong with its keys in coupling steps of this length: ``key = value: must be ...``."""
        yield from ()

    def footprint(self, neurons: int) -> Footprint:
        """What it takes in NEST if it belongs to so many neurons."""
        raise NotImplementedError


class SourceTable(DeviceTable):
    """What all sources have: neurons that they drive, through connections of a generator."""

    name: str
    population: str = Field(min_length=1, description="name, or a part such as E[0:100]")
    weight: float = Field(description="in the unit of the population's neurons: nS or pA")
    delay_ms: float = Field(gt=0)
    receptor: int = Field(0, ge=0, description="port of neurons that have several: 1, 2, ... of ..._multisynapse")

    def create(self, site: Site) -> Sequence[Setting | Injection]:
        """Make it in NEST; returns what is set before every step, as many as its size. Collective, on brain ranks.

        The values in NEST are those that a port begins with.
        """
        raise NotImplementedError

    def connect(self, site: Site, generator: Any, rule: str = "all_to_all") -> None:
        """Connect a generator with all neurons of the site, or several with one neuron each."""
        synapse = {"weight": self.weight, "delay": self.delay_ms, "receptor_type": self.receptor}
        site.nest.Connect(generator, site.neurons, rule, synapse)

    def footprint(self, neurons: int) -> Footprint:
        """That of one generator with a connection to each neuron."""
        return Footprint(generators=1, spread_links=neurons)


class SinkTable(DeviceTable):
    """What all sinks have: neurons that they listen to, those of each population that matches."""

    populations: str = Field(
        min_length=1,
        description="name or shell pattern such as M1_*, or a part such as E[0:100]; each gets a sink of its name",
    )
    name: str | None = Field(None, description="another name than the population's, for a single match")

    def create(self, site: Site) -> Sequence[Reading | Tapping]:
        """Make it in NEST; returns what is read after every step, as many as its size. Collective, on brain ranks."""
        raise NotImplementedError

    def footprint(self, neurons: int) -> Footprint:
        """That of one node with a connection from each neuron."""
        return Footprint(gathered_links=neurons)
