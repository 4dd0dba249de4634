# SPDX-License-Identifier: GPL-2.0-or-later
"""Spike sources and spike sinks: the coupling ports between brain and body, as data that both sides read.

A spike source is a NEST ``poisson_generator`` that gives every neuron of a population an independent train at a rate
that transfer functions set. A spike sink is a neuron that never fires and listens to a whole population; transfer
functions read its membrane potential at the end of every coupling step:

    dV/dt = -V / tau_m + I / C_m,    I = sum over spikes of w (e / tau_syn) (t - t_s) exp(-(t - t_s) / tau_syn)

(NEST's ``iaf_psc_alpha`` with an infinite threshold; parameters of the Neurorobotics Platform's
``leaky_integrator_alpha``). A mean of one spike per ms holds V at w e tau_syn tau_m / C_m.

On a patch of a larger sheet a population has fewer neurons and would drive its sink less. The sink's weight is
therefore multiplied by (neurons of the full sheet) / (neurons of the patch), so that the same firing rate gives the
same voltage at any patch size, and what a transfer function makes of a voltage stays true. Of a part of a population
only the neurons meant are counted: ``E[:10]`` are ten on both, ``E[::2]`` the half of either.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from keyword import iskeyword
from types import MappingProxyType

import numpy as np

from cosim.errors import nearest
from cosim.experiment.config import Configuration, SpikeSink, SpikeSource
from cosim.network.address import Address
from cosim.network.counting import longest_delay_ms
from cosim.timegrid import is_multiple

# What else transfer functions find by name, besides the ports of a body: no sink or source may be called so.
OTHER_PORTS = ("protocol", "t_ms", "step")


@dataclass(frozen=True)
class Sink:
    """One spike sink; ``neurons`` are one population or a part of it, ``weight_pa`` is scaled to the patch."""

    name: str
    neurons: Address
    weight_pa: float
    table: SpikeSink


@dataclass(frozen=True)
class Source:
    """One spike source; ``neurons`` are one population or a part of it."""

    name: str
    neurons: Address
    table: SpikeSource


@dataclass(frozen=True)
class Devices:
    """All ports of an experiment, in the order of the exchange's buffers, and the neurons that are recorded."""

    sources: tuple[Source, ...]
    sinks: tuple[Sink, ...]
    recorded: tuple[Address, ...]


class SinkPort:
    """What a transfer function sees of a spike sink."""

    __slots__ = ("_slot", "name")  # a mistyped attribute is an error

    def __init__(self, name: str, slot: np.ndarray) -> None:
        self.name, self._slot = name, slot

    @property
    def voltage_mv(self) -> float:
        """Membrane potential at the end of the last coupling step; 0 at rest."""
        return float(self._slot[0])


class SourcePort:
    """What a transfer function sees of a spike source; a rate holds until it is set again."""

    __slots__ = ("_slot", "name")  # a mistyped attribute is an error

    def __init__(self, name: str, slot: np.ndarray) -> None:
        self.name, self._slot = name, slot

    @property
    def rate_hz(self) -> float:
        """Rate of the train that each neuron of the population gets."""
        return float(self._slot[0])

    @rate_hz.setter
    def rate_hz(self, rate_hz: float) -> None:
        if not 0 <= rate_hz < math.inf:
            raise ValueError(f"{self.name}.rate_hz = {rate_hz}: must be a finite number, 0 or more")
        self._slot[0] = rate_hz


def resolve(
    config: Configuration,
    sizes: Mapping[str, int],
    full_sizes: Mapping[str, int],
    of_body: Iterable[str] = (),
    receptors: Mapping[str, range] = MappingProxyType({}),
) -> Devices:
    """Find the populations that the sources and sinks of a configuration name; check delays and what is recorded.

    ``sizes`` are the neurons of each population as built, ``full_sizes`` those of the full sheet; ``of_body`` are the
    names of the body's ports, ``receptors`` those of the populations of which they are known.

    Raises:
        ValueError: all problems together, one a line.
    """
    problems = [
        *_own_problems(config),
        *_source_problems(config.sources, sizes),
        *_sink_problems(config.sinks, sizes),
        *_record_problems(config.record.patterns, sizes),
    ]
    if not problems:
        sources = tuple(_sources(config.sources, sizes))
        sinks = tuple(_sinks(config.sinks, sizes, full_sizes))
        taken = (*of_body, *OTHER_PORTS)
        names = [each.name for each in (*sources, *sinks)]
        problems = [*_receptor_problems(sources, receptors), *_name_problems(names, taken)]
    if problems:
        raise ValueError("\n".join(problems))
    return Devices(sources, sinks, tuple(_recorded(config.record.patterns, sizes)))


def suppose(config: Configuration, of_body: Iterable[str], wanted: Iterable[str]) -> Devices:
    """The devices of a configuration as far as they are known before any population is; none are recorded.

    A sink on all populations of a pattern is supposed to be there for each of the names ``wanted`` that fits it.

    Raises:
        ValueError: all problems that can be known so early, one a line.
    """
    problems = [*_own_problems(config)]
    if not problems:
        taken = (*of_body, *OTHER_PORTS)
        sources = tuple(Source(each.name, Address.parse(each.population), each) for each in config.sources)
        sinks = tuple(_supposed_sinks(config.sinks, {*wanted} - {*taken} - {each.name for each in sources}))
        problems = [*_name_problems([each.name for each in (*sources, *sinks)], taken)]
    if problems:
        raise ValueError("\n".join(problems))
    return Devices(sources, sinks, ())


def _supposed_sinks(tables: Sequence[SpikeSink], wanted: Iterable[str]) -> Iterator[Sink]:
    for table in tables:
        address = Address.parse(table.populations)
        for name in [table.name] if table.name else sorted(address.matches(wanted)):
            yield Sink(name, address, table.weight_pa, table)


def make_ports(devices: Devices, readout: np.ndarray, stimulus: np.ndarray) -> dict[str, SinkPort | SourcePort]:
    """The ports of all devices, by name, as views into the exchange's buffers. Body rank."""
    sinks = {sink.name: SinkPort(sink.name, readout[i : i + 1]) for i, sink in enumerate(devices.sinks)}
    sources = {source.name: SourcePort(source.name, stimulus[i : i + 1]) for i, source in enumerate(devices.sources)}
    return {**sinks, **sources}


def _sources(tables: Sequence[SpikeSource], sizes: Mapping[str, int]) -> Iterator[Source]:
    for table in tables:
        address = Address.parse(table.population)
        yield Source(table.name, replace(address, pattern=address.matches(sizes)[0]), table)


def _sinks(tables: Sequence[SpikeSink], sizes: Mapping[str, int], full_sizes: Mapping[str, int]) -> Iterator[Sink]:
    for table in tables:
        address = Address.parse(table.populations)
        for name in address.matches(sizes):
            scale = address.size(full_sizes.get(name, sizes[name])) / address.size(sizes[name])
            yield Sink(table.name or name, replace(address, pattern=name), table.weight_pa * scale, table)


def _recorded(patterns: Iterable[str], sizes: Mapping[str, int]) -> Iterator[Address]:
    """A neuron may be meant several times; it is recorded once."""
    for address in map(Address.parse, patterns):
        for name in address.matches(sizes):
            yield replace(address, pattern=name)


def _own_problems(config: Configuration) -> Iterator[str]:
    """What is wrong whatever populations there are."""
    for kind, key in (("sources", "population"), ("sinks", "populations")):
        for index, table in enumerate(getattr(config, kind)):
            where = f"{kind}.{index}"
            if table.name is not None and not _is_name(table.name):
                yield f"{where}.name = {table.name!r}: must be a Python name, transfer functions use it"
            yield from _delay_problems(f"{where}.delay_ms", table.delay_ms, config.clock.resolution_ms)
            yield from _parse_problems(f"{where}.{key}", getattr(table, key))
    for pattern in config.record.patterns:
        yield from _parse_problems("record.spikes", pattern)


def _parse_problems(where: str, text: str) -> Iterator[str]:
    try:
        Address.parse(text)
    except ValueError as error:
        yield f"{where} = {error}"


def _source_problems(tables: Sequence[SpikeSource], sizes: Mapping[str, int]) -> Iterator[str]:
    for index, table in enumerate(tables):
        yield from _address_problems(f"sources.{index}.population", table.population, sizes, exactly_one=True)


def _receptor_problems(sources: Sequence[Source], receptors: Mapping[str, range]) -> Iterator[str]:
    """NEST would refuse them when the network stands."""
    for index, source in enumerate(sources):
        population, receptor = source.neurons.pattern, source.table.receptor
        if population in receptors and receptor not in receptors[population]:
            there_are = " or ".join(map(str, receptors[population]))
            yield f"sources.{index}.receptor = {receptor}: must be {there_are} for neurons of {population}"


def _sink_problems(tables: Sequence[SpikeSink], sizes: Mapping[str, int]) -> Iterator[str]:
    for index, table in enumerate(tables):
        where = f"sinks.{index}.populations"
        yield from _address_problems(where, table.populations, sizes, exactly_one=table.name is not None)


def _address_problems(where: str, text: str, sizes: Mapping[str, int], exactly_one: bool = False) -> Iterator[str]:
    """A pattern must match, and must leave at least one neuron of each population."""
    try:
        address = Address.parse(text)
    except ValueError:
        return  # told already
    names = address.matches(sizes)
    if not names:
        trouble = "no such population" if exactly_one else "matches no population"
        yield f"{where} = {text!r}: {trouble}; {nearest(address.pattern, sizes)}"
    elif exactly_one and len(names) > 1:
        yield f"{where} = {text!r}: must be one population, but matches {', '.join(names)}"
    for name in names:
        if address.size(sizes[name]) == 0:
            yield f"{where} = {text!r}: no neuron is left of {name}, allowed are 0 to {sizes[name] - 1}"


def _is_name(text: str) -> bool:
    return text.isidentifier() and not iskeyword(text)


def _delay_problems(where: str, delay_ms: float, resolution_ms: float) -> Iterator[str]:
    """NEST would round delays to its time grid, cut them off, or refuse them while it connects."""
    resolution = f"clock.resolution_ms = {resolution_ms}"
    if not is_multiple(delay_ms, resolution_ms):
        yield f"{where} = {delay_ms}: must be a multiple of {resolution}"
    elif delay_ms > (longest_ms := longest_delay_ms(resolution_ms)):
        yield f"{where} = {delay_ms}: must be at most {longest_ms:g} with {resolution}"


def _record_problems(patterns: Sequence[str], sizes: Mapping[str, int]) -> Iterator[str]:
    """A pattern without a match would lose all spikes of a run; an empty one says that none are wanted."""
    for pattern in patterns:
        for problem in _address_problems("record.spikes", pattern, sizes):
            yield f"{problem}; empty for none"


def _name_problems(names: Sequence[str], taken: Sequence[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"port {name!r} is there {names.count(name)} times among sources and sinks; names must be unique"
    for name in sorted({*names} & {*taken}):
        yield f"port {name!r} of a source or sink: must not be one of {', '.join(taken)}"
