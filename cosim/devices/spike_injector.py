# SPDX-License-Identifier: GPL-2.0-or-later
"""``kind = "spike_injector"``: spikes at exact times, to all neurons of a population or to single ones.

Transfer functions give times within the coupling step that comes: start < t <= end of the step, on NEST's time grid,
where start is the ``t_ms`` of the call. A neuron has such a spike at t plus the delay. Times hold for one step: nothing
is sent in the next unless it is given again.

It is a NEST ``spike_generator``, which sends to all neurons. With ``per_neuron`` there is also a
``spike_train_injector`` for each neuron, which costs about as much memory as a neuron and makes NEST visit one more
node for each.

The number of spikes goes with the stimulus of all sources; the spikes themselves, if there are any, in a message of
their own, 16 bytes for a spike.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from cosim.devices.base import Footprint, Injection, PortSite, Site, SourceTable
from cosim.devices.lists import TO_ALL, ComingStep, SpikeList

# A spike_train_injector in NEST with what the kernel keeps of a node and of a sender of spikes.
INJECTOR_BYTES = 1250


class SpikeInjectorPort:
    """What a transfer function sees of an injector."""

    __slots__ = ("_coming", "_numbers", "_spikes", "name")

    def __init__(self, name: str, spikes: SpikeList, coming: ComingStep, numbers: range) -> None:
        """``numbers`` are those of the neurons that can get spikes of their own."""
        self.name, self._spikes, self._coming, self._numbers = name, spikes, coming, numbers

    def send(self, times_ms: npt.ArrayLike, neurons: npt.ArrayLike | None = None) -> None:
        """Send spikes in the coming step at ``times_ms``, one or (n,), to all neurons of the population.

        With ``neurons``, one or (n,), each goes to the neuron of that number, counted from 0 in its population. What
        is sent in several calls adds up.

        Raises:
            ValueError: a time that is not in the coming step or off NEST's time grid, a neuron that is not there. None
                of the spikes is sent then.
        """
        times = np.asarray(times_ms, dtype=float)
        numbers = np.asarray(TO_ALL if neurons is None else neurons)
        try:
            times, numbers = (np.ravel(each) for each in np.broadcast_arrays(times, numbers))
        except ValueError:
            shapes = f"{times.shape} times and {numbers.shape} neurons"
            raise ValueError(f"{self.name}.send: {shapes}: must be as many, or one of either") from None
        self._check_times(times)
        if neurons is not None and len(numbers):
            self._check_neurons(numbers)
        self._spikes.add(times, numbers.astype(float))

    @property
    def count(self) -> int:
        """How many spikes are to be sent in the coming step."""
        return len(self._spikes)

    def _check_times(self, times_ms: np.ndarray) -> None:
        wrong = self._coming.off_grid(times_ms)
        if wrong.any():
            start_ms, end_ms, h_ms = self._coming.start_ms, self._coming.end_ms, self._coming.resolution_ms
            allowed = f"must be a multiple of {h_ms:g} ms above {start_ms:g} and up to {end_ms:g}, in the coming step"
            raise ValueError(f"{self.name}.send: times_ms has {times_ms[wrong][0]:.10g}: {allowed}")

    def _check_neurons(self, numbers: np.ndarray) -> None:
        known = self._numbers
        if not known:
            raise ValueError(f"{self.name}.send: neurons: must be left out, or per_neuron = true be given in its table")
        if numbers.dtype.kind not in "iu":
            raise ValueError(f"{self.name}.send: neurons are of type {numbers.dtype}: must be whole numbers")
        place, rest = np.divmod(numbers.astype(np.int64) - known.start, known.step)
        wrong = (rest != 0) | (place < 0) | (place >= len(known))
        if wrong.any():
            by_step = f" in steps of {known.step}" if known.step > 1 else ""
            allowed = f"must be {known[0]} to {known[-1]}{by_step}"
            raise ValueError(f"{self.name}.send: neurons has {numbers[wrong][0]}: {allowed}")


class SpikeInjector(SourceTable):
    """Spikes at exact times into a population."""

    kind: Literal["spike_injector"] = "spike_injector"
    per_neuron: bool = Field(False, description="whether single neurons can get spikes; a NEST node more for each")

    quantity: ClassVar[str] = "spike count"
    unit: ClassVar[str] = "1"
    model: ClassVar[str] = "spike_generator"
    has_list: ClassVar[bool] = True

    def open_port(self, name: str, values: np.ndarray, site: PortSite) -> SpikeInjectorPort:
        """With ``send`` and ``count``."""
        assert site.spikes is not None
        return SpikeInjectorPort(name, site.spikes, site.coming, site.numbers if self.per_neuron else range(0))

    def create(self, site: Site) -> list[Injection]:
        """A generator for all neurons and, if they are wanted, an injector for each; silent until they get times."""
        generator = site.nest.Create(self.model)
        self.connect(site, generator)
        if not self.per_neuron:
            return [Injection(generator.global_id)]
        injectors = site.nest.Create("spike_train_injector", len(site.neurons))
        site.nest.Connect(injectors, site.neurons, "one_to_one", self.static_synapse)
        return [Injection(generator.global_id, injectors[0].global_id, site.numbers)]

    def footprint(self, neurons: int) -> Footprint:
        """A generator with a connection to each neuron; injectors, with one connection each."""
        if not self.per_neuron:
            return super().footprint(neurons)
        return Footprint(generators=1, spread_links=2 * neurons, more_bytes=neurons * INJECTOR_BYTES)
