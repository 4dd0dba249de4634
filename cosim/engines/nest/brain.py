# SPDX-License-Identifier: GPL-2.0-or-later
"""The brain in a closed loop: a network with spike sources, spike sinks and recorder, advanced step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, chain
from types import ModuleType
from typing import Any

import numpy as np

from cosim.devices.base import Injection, Neurons, Setting, Site, SourceTable, Tapping, Way
from cosim.devices.devices import Device, Devices, SpikeLists
from cosim.engines.built import BuiltBrain
from cosim.engines.engine import JournalSpikes, KeptWeights
from cosim.engines.nest.building import said_of
from cosim.engines.nest.built_network import BuiltNetwork, local_connections
from cosim.engines.nest.changes import Changes
from cosim.engines.nest.kernel import Kernel
from cosim.engines.nest.nestlink import Nestlink, NestlinkError
from cosim.engines.nest.nestlink.blocks import make_multimeter
from cosim.engines.nest.nestlink.spikes import Injector, Taps
from cosim.engines.nest.nestlink.stepping import Journal, SinkValues, Stepper
from cosim.errors import BrainError
from cosim.network.address import Address, as_array, union


class Brain:
    """A `SteppedBrain`: a network in NEST with its devices, ready for steps of ``step_ms``. Always on all brain ranks.

    ``lap(name)`` is called after each phase with its name: devices, prepare. ``lists`` are those of the exchange.
    """

    def __init__(
        self,
        kernel: Kernel,
        network: BuiltNetwork,
        devices: Devices,
        step_ms: float,
        lap: Callable[[str], None],
        lists: SpikeLists | None = None,
    ) -> None:
        self._kernel, self._nest, self._link = kernel, kernel.nest, kernel.link
        self._devices, self._step_ms, self._lists = devices, step_ms, lists
        self._prepare(network, lap)

    def _prepare(self, network: BuiltNetwork, lap: Callable[[str], None], steps_done: int | None = None) -> None:
        """Make the devices and begin the stepping, in a run that goes on if steps of it are done."""
        kernel, devices, step_ms = self._kernel, self._devices, self._step_ms
        nest = kernel.nest
        before = local_connections(nest)
        nodes = {**network.nodes, **network.aliases}
        sources = _create(devices.sources, nest, kernel.link, nodes, step_ms)
        sinks = _create(devices.sinks, nest, kernel.link, nodes, step_ms)
        settings, readings = [*chain(*sources.values())], [*chain(*sinks.values())]
        links = {**network.local_links, "devices": local_connections(nest) - before}
        recorded = recorded_neurons(devices.recorded, network)
        done_ms = (steps_done or 0) * step_ms
        self._journal = Journal(kernel.link, _recorded_ids(recorded, network), done_ms, steps_done is not None)
        taps = _tappings(readings)
        self._taps = Taps(kernel.link, taps) if taps else None
        lap("devices")
        # NEST would repeat its warnings about steps in every step. The verbosity is a property of its module's class.
        nest.verbosity = nest.VerbosityLevel.ERROR  # type: ignore[attr-defined]
        kernel.link.fit_min_delay(step_ms)
        with said_of("the brain", NestlinkError):
            kernel.link.tell_targets()
        nest.Prepare()
        self._stepper = Stepper(kernel.link, [_setting(each) for each in settings], step_ms)
        self._injectors = [Injector(kernel.link, each) for each in settings if isinstance(each, Injection)]
        self._sinks = SinkValues(kernel.link, readings)
        lap("prepare")
        self._changes = Changes(kernel, nodes, _node_ids({**sources, **sinks}))
        self._rebuild, self._script = network.rebuild, network.script
        self.built = _describe(nest, network, recorded, links)

    def stimulate(self, stimulus: np.ndarray) -> None:
        """Set the values of all sources, (stimulus size,) each in its unit; they act from now on."""
        self._stepper.set(stimulus)
        if self._injectors and self._lists is not None:
            for injector, spikes in zip(self._injectors, self._lists.sources, strict=True):
                if len(spikes):
                    injector.send(spikes.times_ms, spikes.numbers)

    def run(self) -> None:
        """Advance by one coupling step."""
        self._stepper.run()

    def run_ahead(self) -> None:
        """Begin the next coupling step with what no stimulus changes; sinks and spikes are read before."""
        self._stepper.run_ahead()

    def read(self, readout: np.ndarray) -> None:
        """Write the values of the sinks on this rank into ``readout``, (readout size,) each in its unit."""
        self._sinks.read(readout)
        if self._taps is not None:
            spikes = self._taps.read(readout)
            if self._lists is not None:
                self._lists.outgoing = spikes

    def collect(self) -> int:
        """Take over the spikes since the last call; returns how many wait for ``forget_spikes``."""
        return self._journal.collect()

    def spikes(self) -> JournalSpikes:
        """Spikes of this rank that were collected since the last ``forget_spikes``; views, not copies."""
        return self._journal.spikes()

    def forget_spikes(self) -> None:
        """Drop what was collected."""
        self._journal.forget()

    def set_parameters(self, population: str, values: Mapping[str, float]) -> None:
        """Set parameters of all neurons of a population, or of a part of it; they act from the next step on."""
        self._changes.set_parameters(population, values)

    def parameters(self, population: str, names: Sequence[str]) -> dict[str, np.ndarray]:
        """What the neurons of a population have that are on this rank, by name, in the order of their ids."""
        return self._changes.parameters(population, names)

    def scale_weights(self, source: str, target: str, factor: float) -> int:
        """Multiply the weights of all synapses between two populations; returns how many are on this rank."""
        return self._changes.scale_weights(source, target, factor)

    def undo(self) -> None:
        """Take back the last change on this rank; nothing if it was refused."""
        self._changes.undo()

    def check_reset(self) -> None:
        """Refuse a `reset` that cannot be done, before anything is lost."""
        if self._rebuild is None:
            raise BrainError("the brain cannot be reset: it was not made by build_network")
        if keeping := [each.name for each in self.kept_weights]:
            # Their record has a row of all weights after so many steps each, and synapses that stay the same ones.
            names = ", ".join(keeping)
            raise BrainError(f"the brain cannot be reset alone while {names} keep all weights: full_every must be 0")
        if self._script and self._script.path.read_bytes() != self._script.content:
            changed = f"{self._script.path} has changed since the run began"
            raise BrainError(f"{changed}: reset all, which takes it as it is now")

    def reset(self, steps_done: int) -> None:
        """Build network and devices anew and begin at NEST's time 0; spikes have times of the run."""
        self.check_reset()
        assert self._rebuild is not None
        self._kernel.restart()
        self._prepare(self._rebuild(), lambda _: None, steps_done)

    @property
    def kept_weights(self) -> Sequence[KeptWeights]:
        """Of sinks that keep all weights of a projection for the record: those of this rank."""
        return self._sinks.kept_weights

    def close(self) -> None:
        """Leave the stepping. Collective inside NEST."""
        self._link.check_synchrony()
        self._nest.Cleanup()


def recorded_neurons(addresses: Sequence[Address], network: BuiltNetwork) -> dict[str, range | np.ndarray]:
    """Of each population that is recorded the places of its neurons, each once; other names count for their nodes."""
    parts: dict[str, list[range | np.ndarray]] = {}
    for address in addresses:
        for name, meant in _meant(address, network):
            parts.setdefault(name, []).append(meant)
    return {name: union(parts[name]) for name in network.nodes if name in parts}


def _meant(address: Address, network: BuiltNetwork) -> Iterator[tuple[str, range | np.ndarray]]:
    """Populations and places in them that an address means; an alias means nodes of one or several populations."""
    if address.pattern in network.nodes:
        yield address.pattern, range(len(network.nodes[address.pattern]))[address.part]
        return
    ids = np.array(network.aliases[address.pattern].tolist())[address.part]
    for name, nodes in network.nodes.items():
        places = ids - nodes[0].global_id
        places = places[(places >= 0) & (places < len(nodes))]
        if len(places):
            yield name, places


def _create(
    devices: Sequence[Device], nest: ModuleType, link: Nestlink, nodes: dict[str, Any], step_ms: float
) -> dict[str, list[Any]]:
    """Make some sources or sinks; what is set or read of each, by its name, in the order of the message."""
    made = {}
    for device in devices:
        what = f"spike {'source' if isinstance(device.table, SourceTable) else 'sink'} {device.name}"
        with said_of(what, nest.NESTError):
            site = Site(
                nest,
                _part(device.neurons, nodes),
                device.scale,
                step_ms,
                numbers=device.numbers,
                name=device.name,
                ends=_ends(device, nodes),
                make_multimeter=partial(make_multimeter, nest, link, what),
            )
            values = list(device.table.create(site))
        if (size := sum(map(_size, values))) != device.size:
            raise ValueError(f"{device.name}: {size} values in NEST, must be {device.size}, as in the message")
        made[device.name] = values
    return made


def _size(value: Any) -> int:
    """How many places it has in the message."""
    return getattr(value, "size", 1)


def _setting(source: Setting | Injection) -> Setting:
    """What is set before every step: nothing of a source that gets spikes, which begins with its first node."""
    return Setting(source.generator_id, "", way=Way.ELSEWHERE) if isinstance(source, Injection) else source


def _tappings(readings: Sequence[Any]) -> list[tuple[int, Tapping]]:
    """Those of sinks of spikes, each with its place in the message."""
    places = accumulate(map(_size, readings), initial=0)
    return [(place, each) for place, each in zip(places, readings, strict=False) if isinstance(each, Tapping)]


def _node_ids(made: Mapping[str, Sequence[Any]]) -> dict[str, list[int]]:
    """The nodes of each device, by name, of which parameters are set or variables read."""
    return {name: sorted({each.node_id for each in own if hasattr(each, "node_id")}) for name, own in made.items()}


def _ends(device: Device, nodes: dict[str, Any]) -> tuple[Neurons, Neurons] | None:
    """Of a sink that looks at a projection."""
    if device.source is None:
        return None
    return _neurons(device.source, nodes), _neurons(device.neurons, nodes)


def _neurons(address: Address, nodes: dict[str, Any]) -> Neurons:
    numbers = range(len(nodes[address.pattern]))[address.part]
    return Neurons(address.pattern, _ids(_part(address, nodes).tolist()), numbers)


def _part(address: Address, nodes: dict[str, Any]) -> Any:
    """The nodes that an address means. NEST refuses slices that reach beyond the end, which Python cuts off there."""
    population = nodes[address.pattern]
    return population[slice(*address.part.indices(len(population)))]


def _recorded_ids(recorded: dict[str, range | np.ndarray], network: BuiltNetwork) -> np.ndarray:
    """Node ids, (n,) int64, of places in populations."""
    first = {name: nodes[0].global_id for name, nodes in network.nodes.items()}
    return np.concatenate([_ids([]), *(first[name] + as_array(places) for name, places in recorded.items())])


def _ids(ids: Iterable[int]) -> np.ndarray:
    return np.fromiter(ids, dtype=np.int64)


def _describe(
    nest: ModuleType, network: BuiltNetwork, recorded: dict[str, range | np.ndarray], links: dict[str, int]
) -> BuiltBrain:
    return BuiltBrain(
        tuple(replace(each, recorded=len(recorded.get(each.name, ()))) for each in network.populations),
        dict(network.local_synapses),
        links,
        min_delay_ms=nest.min_delay,
        threads=nest.local_num_threads,
        notes=network.notes,
        connect_bytes=network.connect_bytes,
        left_to_nestlink=network.left_to_nestlink,
    )
