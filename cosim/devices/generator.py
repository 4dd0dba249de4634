# SPDX-License-Identifier: GPL-2.0-or-later
"""What sources have in common that are a stimulation device of NEST, or several of it that all get the same values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic import Field

from cosim.devices.base import DevicePart, Footprint, Setting, Site, SourceTable
from cosim.devices.links import Connected, Tsodyks

# A parrot_neuron in NEST with what the kernel keeps of a node, and its one synapse with all that belongs to it.
RELAY_BYTES = 900


class GeneratorSource(Connected, SourceTable):
    """A source that sets parameters of one generator, or of several."""

    generators: int | None = Field(
        None, ge=1, description="how many there are, 1 if it is left out; with one_to_one as many as neurons"
    )

    parameters: ClassVar[Mapping[str, tuple[str, str]]] = MappingProxyType({})
    """NEST's name of each value, in the order of the message, with its quantity and unit; all are 0 at first."""

    def size(self, neurons: int) -> int:
        """A value for each parameter."""
        return len(self.parameters)

    def parts(self, neurons: int, step_ms: float) -> tuple[DevicePart, ...]:
        """A dataset for each parameter; a single one bears the name of the source."""
        is_single = len(self.parameters) == 1
        named = self.parameters.items()
        return tuple(DevicePart("" if is_single else name, (), *what) for name, what in named)

    def problems(self, step_ms: float, resolution_ms: float) -> Iterator[str]:
        """What does not fit together."""
        yield from super().problems(step_ms, resolution_ms)
        yield from self.problems_of_links()
        if self.connector == "one_to_one" and self.generators is not None:
            yield f'generators = {self.generators}: must not be there with connector = "one_to_one"'

    def start_values(self) -> dict[str, Any]:
        """NEST's parameters that it is made with; those that are set later are 0 at first."""
        return dict.fromkeys(self.parameters, 0.0)

    def number(self, neurons: int) -> int:
        """How many generators there are."""
        return neurons if self.connector == "one_to_one" else self.generators or 1

    def create(self, site: Site) -> list[Setting]:
        """The generators, which send nothing at first."""
        made = site.nest.Create(self.model, self.number(len(site.neurons)), self.start_values())
        self.connect(site, made)
        return self.settings(made[0].global_id, len(made), site)

    def settings(self, node_id: int, nodes: int, site: Site) -> list[Setting]:
        """What is set of so many generators from ``node_id`` on."""
        return [Setting(node_id, name, nodes) for name in self.parameters]

    def connect(self, site: Site, generator: Any) -> None:
        """Connect generators with neurons of the site, as the connector says."""
        site.nest.Connect(generator, site.neurons, self.rule, self.static_synapse)

    def footprint(self, neurons: int) -> Footprint:
        """That of all generators with their connections."""
        return Footprint(generators=self.number(neurons), spread_links=self.links(neurons))

    def links(self, neurons: int) -> int:
        """How many connections there are."""
        each = {"all_to_all": self.generators or 1, "one_to_one": 1, "fixed_indegree": self.indegree or 0}
        return neurons * each[self.connector]


class CurrentSource(GeneratorSource):
    """Of a current, which comes to the neurons as many pA as it has times the weight."""

    weight: float = Field(1.0, description="a factor for the current")


class SpikeSource(GeneratorSource):
    """Of spikes, through static synapses or such with short-term plasticity.

    NEST's generators of spikes have static synapses alone. Between them and synapses with plasticity is therefore a
    ``parrot_neuron`` for each connection, and each of both ways takes about half of the delay, in all ``delay_ms``.
    """

    synapse: Tsodyks | None = Field(None, description="of the synapses; static if it is left out")

    def problems(self, step_ms: float, resolution_ms: float) -> Iterator[str]:
        """What does not fit together."""
        yield from super().problems(step_ms, resolution_ms)
        if self.synapse is None:
            return
        if self.connector == "fixed_indegree":
            yield f'connector = {self.connector!r}: must be "all_to_all" or "one_to_one" with synapse'
        if self.delay_ms < 1.5 * resolution_ms:
            yield f"delay_ms = {self.delay_ms}: must be at least {2 * resolution_ms:g}, two steps of NEST, with synapse"

    def connect(self, site: Site, generator: Any) -> None:
        """Connect generators with neurons of the site, with relays between them where synapses are plastic."""
        if self.synapse is None:
            super().connect(site, generator)
            return
        h_ms, neurons = site.nest.resolution, len(site.neurons)
        first_ms = h_ms * (round(self.delay_ms / h_ms) // 2)
        rest = {**self.static_synapse, **self.synapse.parameters, "delay": self.delay_ms - first_ms}
        each = generator if self.connector == "all_to_all" else [generator]
        for one in each:
            relays = site.nest.Create("parrot_neuron", neurons)
            rule = "all_to_all" if len(one) == 1 else "one_to_one"
            site.nest.Connect(one, relays, rule, {"delay": first_ms})
            site.nest.Connect(relays, site.neurons, "one_to_one", rest)

    def footprint(self, neurons: int) -> Footprint:
        """That of all generators with their connections, and of relays."""
        plain = super().footprint(neurons)
        return plain._replace(more_bytes=plain.spread_links * RELAY_BYTES) if self.synapse else plain
