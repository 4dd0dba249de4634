# SPDX-License-Identifier: GPL-2.0-or-later
"""From the tables of sources and sinks to devices: which populations they find, and what NEST would refuse of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from keyword import iskeyword
from types import MappingProxyType

import numpy as np

from cosim.devices.base import DeviceTable, SinkTable, SourceTable
from cosim.devices.devices import Device, Devices, Kind
from cosim.errors import nearest
from cosim.network.address import Address, as_array, places
from cosim.network.counting import longest_delay_ms
from cosim.timegrid import is_multiple

# What else transfer functions find by name, besides the ports of a body: no sink or source may be called so.
OTHER_PORTS = ("protocol", "t_ms", "step", "log", "random")


@dataclass(frozen=True)
class Wanted:
    """What a configuration wants of devices: their tables, patterns of what is recorded, NEST's resolution, the
    coupling step.
    """

    sources: Sequence[SourceTable]
    sinks: Sequence[SinkTable]
    recorded: Sequence[str]
    resolution_ms: float
    step_ms: float

    @property
    def has_fixed_sizes(self) -> bool:
        """Whether all devices exchange as many values whatever neurons they find, and call none by their numbers."""
        tables = (*self.sources, *self.sinks)
        is_fixed = (table.parts(1, self.step_ms) == table.parts(2, self.step_ms) for table in tables)
        has_lists = any(table.has_list for table in tables)
        has_groups = any(map(_is_group, self.sources)) or any(map(_is_group, self.sinks))
        return all(is_fixed) and not (has_lists or has_groups)


def resolve(
    wanted: Wanted,
    sizes: Mapping[str, int],
    full_sizes: Mapping[str, int],
    of_body: Iterable[str] = (),
    receptors: Mapping[str, range] = MappingProxyType({}),
) -> Devices:
    """Find the populations that sources and sinks name; check delays and what is recorded.

    ``sizes`` are the neurons of each population as built, ``full_sizes`` those of the full sheet; ``of_body`` are the
    names of the body's ports, ``receptors`` those of the populations of which they are known.

    Raises:
        ValueError: all problems together, one a line.
    """
    problems = [
        *_own_problems(wanted),
        *_source_problems(wanted.sources, sizes),
        *_sink_problems(wanted.sinks, sizes),
        *_record_problems(wanted.recorded, sizes),
    ]
    if not problems:
        recorded = tuple(_recorded(wanted.recorded, sizes))
        sources = tuple(_apart([*_sources(wanted.sources, sizes, wanted.step_ms)]))
        heard = _apart([*_sinks(wanted.sinks, sizes, full_sizes, wanted.step_ms)])
        sinks = tuple(_known_if_recorded(heard, places(recorded, sizes)))
        taken = (*of_body, *OTHER_PORTS)
        problems = [*_receptor_problems(wanted.sources, sources, receptors), *_name_problems(sources, sinks, taken)]
    if problems:
        raise ValueError("\n".join(problems))
    return Devices(sources, sinks, recorded, wanted.step_ms, wanted.resolution_ms)


def suppose(wanted: Wanted, of_body: Iterable[str], ports: Iterable[str]) -> Devices:
    """The devices as far as they are known before any population is; none are recorded.

    A sink on all populations of a pattern is supposed to be there for each of the names ``ports`` that fits it. All are
    supposed to belong to one neuron.

    Raises:
        ValueError: all problems that can be known so early, one a line.
    """
    problems = [*_own_problems(wanted)]
    if not problems:
        taken = (*of_body, *OTHER_PORTS)
        sources = tuple(_supposed_sources(wanted.sources, wanted.step_ms))
        named = {*(each.name for each in wanted.sources), *(each.name for each in wanted.sinks)}
        sinks = tuple(_supposed_sinks(wanted.sinks, {*ports} - {*taken} - named, wanted.step_ms))
        problems = [*_name_problems(sources, sinks, taken)]
    if problems:
        raise ValueError("\n".join(problems))
    return Devices(sources, sinks, (), wanted.step_ms, wanted.resolution_ms)


def _supposed_sources(tables: Sequence[SourceTable], step_ms: float) -> Iterator[Device[SourceTable]]:
    for table in tables:
        yield _device(table.name, Address.parse(table.address), table, 1, step_ms)


def _supposed_sinks(tables: Sequence[SinkTable], ports: Iterable[str], step_ms: float) -> Iterator[Device[SinkTable]]:
    for table in tables:
        address = Address.parse(table.populations)
        for name in [table.name] if table.name else sorted(address.matches(ports)):
            yield _device(name, address, table, 1, step_ms)


def _device(name: str, address: Address, table: Kind, neurons: int, step_ms: float) -> Device[Kind]:
    """A device as large as its table says it is at a part of a population of so many neurons."""
    numbers = range(neurons)[address.part]
    parts = table.parts(len(numbers), step_ms)
    return Device(name, address, table, sum(each.size for each in parts), numbers=numbers, parts=parts)


def _sources(tables: Sequence[SourceTable], sizes: Mapping[str, int], step_ms: float) -> Iterator[Device[SourceTable]]:
    for table in tables:
        address = Address.parse(table.address)
        for name in address.matches(sizes):
            device = _device(table.name, replace(address, pattern=name), table, sizes[name], step_ms)
            yield replace(device, name=name, group=table.name) if table.is_group else device


def _sinks(
    tables: Sequence[SinkTable], sizes: Mapping[str, int], full_sizes: Mapping[str, int], step_ms: float
) -> Iterator[Device[SinkTable]]:
    for table in tables:
        address = Address.parse(table.populations)
        for name in address.matches(sizes):
            neurons = address.size(sizes[name])
            scale = address.size(full_sizes.get(name, sizes[name])) / neurons
            group = table.name or "" if table.is_group else ""
            own = name if group else table.name or name
            device = _device(own, replace(address, pattern=name), table, sizes[name], step_ms)
            yield replace(device, scale=scale, source=_source(table, sizes), group=group)


def _known_if_recorded(
    sinks: Iterable[Device[SinkTable]], recorded: Mapping[str, range | np.ndarray]
) -> Iterator[Device[SinkTable]]:
    """Whether spikes that a sink lists lie in ``spikes.h5``, too; ``recorded`` are places by population."""
    for sink in sinks:
        known = recorded.get(sink.neurons.pattern, range(0))
        is_known = sink.table.has_list and bool(np.isin(as_array(sink.numbers), as_array(known)).all())
        yield replace(sink, is_recorded=is_known)


def _apart(devices: Sequence[Device[Kind]]) -> Iterator[Device[Kind]]:
    """Members of a group have the names of their populations, unless another device is called so."""
    names = Counter(each.name for each in devices)
    crowded = {each.group for each in devices if names[each.name] > 1}
    for each in devices:
        yield replace(each, name=f"{each.group}.{each.name}") if each.group and each.group in crowded else each


def _source(table: SinkTable, sizes: Mapping[str, int]) -> Address | None:
    """Where the projection comes from that a sink looks at."""
    if table.source_population is None:
        return None
    address = Address.parse(table.source_population)
    return replace(address, pattern=address.matches(sizes)[0])


def _recorded(patterns: Iterable[str], sizes: Mapping[str, int]) -> Iterator[Address]:
    """A neuron may be meant several times; it is recorded once."""
    for address in map(Address.parse, patterns):
        for name in address.matches(sizes):
            yield replace(address, pattern=name)


def _own_problems(wanted: Wanted) -> Iterator[str]:
    """What is wrong whatever populations there are."""
    for section in ("sources", "sinks"):
        for index, table in enumerate(getattr(wanted, section)):
            where = f"{section}.{index}"
            if table.name is not None and not _is_name(table.name):
                yield f"{where}.name = {table.name!r}: must be a Python name, transfer functions use it"
            if table.connection_delay_ms is not None:
                yield from _delay_problems(f"{where}.delay_ms", table.connection_delay_ms, wanted.resolution_ms)
            yield from (f"{where}.{problem}" for problem in table.problems(wanted.step_ms, wanted.resolution_ms))
            yield from _parse_problems(f"{where}.{_key(table)}", table.address)
            if isinstance(table, SinkTable) and table.source_population is not None:
                yield from _parse_problems(f"{where}.source", table.source_population)
    for pattern in wanted.recorded:
        yield from _parse_problems("record.spikes", pattern)


def _key(table: SourceTable | SinkTable) -> str:
    """What its address is called."""
    return "populations" if table.populations is not None else "population"


def _parse_problems(where: str, text: str) -> Iterator[str]:
    try:
        Address.parse(text)
    except ValueError as error:
        yield f"{where} = {error}"


def _source_problems(tables: Sequence[SourceTable], sizes: Mapping[str, int]) -> Iterator[str]:
    for index, table in enumerate(tables):
        where = f"sources.{index}.{_key(table)}"
        yield from _address_problems(where, table.address, sizes, exactly_one=not _is_group(table))
        yield from _group_problems(where, table)


def _group_problems(where: str, table: SourceTable | SinkTable) -> Iterator[str]:
    if _is_group(table) and table.port is None:
        yield f"{where} = {table.address!r}: must be one population, as there are no groups of kind = {table.kind!r}"


def _receptor_problems(
    tables: Sequence[SourceTable], sources: Sequence[Device[SourceTable]], receptors: Mapping[str, range]
) -> Iterator[str]:
    """NEST would refuse them when the network stands."""
    for source in sources:
        index = next(place for place, table in enumerate(tables) if table is source.table)
        population, receptor = source.neurons.pattern, source.table.receptor_port
        if population in receptors and receptor not in receptors[population]:
            there_are = " or ".join(map(str, receptors[population]))
            yield f"sources.{index}.receptor = {receptor}: must be {there_are} for neurons of {population}"


def _sink_problems(tables: Sequence[SinkTable], sizes: Mapping[str, int]) -> Iterator[str]:
    for index, table in enumerate(tables):
        where = f"sinks.{index}"
        one = table.name is not None and not _is_group(table)
        yield from _address_problems(f"{where}.populations", table.populations, sizes, exactly_one=one)
        yield from _group_problems(f"{where}.populations", table)
        if table.source_population is not None:
            yield from _address_problems(f"{where}.source", table.source_population, sizes, exactly_one=True)


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


def _is_group(table: DeviceTable) -> bool:
    """For an address that may be none."""
    try:
        return table.is_group
    except ValueError:
        return False


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


def _name_problems(
    sources: Sequence[Device[SourceTable]], sinks: Sequence[Device[SinkTable]], taken: Sequence[str]
) -> Iterator[str]:
    names = [name for devices in (sources, sinks) for name, _ in groupby(each.port for each in devices)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"port {name!r} is there {names.count(name)} times among sources and sinks; names must be unique"
    for name in sorted({*names} & {*taken}):
        yield f"port {name!r} of a source or sink: must not be one of {', '.join(taken)}"
