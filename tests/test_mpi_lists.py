# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists of spikes between ranks: each gets exactly what was meant for it, of any length."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.devices.devices import Device, Devices
from cosim.devices.poisson import PoissonSource
from cosim.devices.spike_count import SpikeCount
from cosim.devices.spike_injector import SpikeInjector
from cosim.devices.spikes import SpikesSink
from cosim.network.address import Address
from cosim.parallel.exchange import Exchange
from cosim.parallel.lists import ListExchange, open_exchange
from cosim.parallel.stop import StopSign
from cosim.parallel.world import World, split

pytestmark = pytest.mark.mpi(min_size=2)

E = Address("E")
SINKS = [Device("a", E, SpikesSink(populations="E")), Device("n", E, SpikeCount(populations="E"))]
SINKS += [Device("b", E, SpikesSink(populations="E"))]
DRIVE = {"population": "E", "weight": 1.0, "delay_ms": 1.0}
SOURCES = [Device("rate", E, PoissonSource(name="rate", **DRIVE))]
SOURCES += [Device(name, E, SpikeInjector(name=name, **DRIVE)) for name in ("one", "two")]
DEVICES = Devices((*SOURCES,), (*SINKS,), (), step_ms=5.0)
PLACES = {"a": 0, "b": 2}
# In turn: none at all, few, and more than fits in the message of a transport that is sent at once.
LENGTHS = (0, 3, 200_000, 0, 1)


@pytest.fixture
def world() -> World:
    return split()


@pytest.fixture
def exchange(world) -> Exchange:
    return open_exchange(world, DEVICES, StopSign())


def spikes(sink: str, step: int, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """What a rank has of a sink in a step; some ranks have none in some steps."""
    draw = np.random.default_rng([len(sink), ord(sink[0]), step, rank])
    count = LENGTHS[(step + rank + ord(sink[0])) % len(LENGTHS)]
    return draw.integers(1, 51, count) * 0.1 + 5.0 * step, draw.integers(0, 1000, count).astype(float)


def test_sinks_get_the_spikes_of_all_ranks_by_time_and_neuron(world, exchange):
    for step in range(len(LENGTHS)):
        if not world.is_body:
            mine = [spikes(sink, step, world.rank) for sink in PLACES]
            exchange.readout[:] = [len(mine[0][0]), world.rank, len(mine[1][0])]
            exchange.lists.outgoing = np.concatenate([part for each in mine for part in each])
        exchange.gather()
        exchange.share()
        exchange.receive()
        if world.is_body:
            ranks = range(1, world.comm.size)
            assert exchange.readout[1] == sum(ranks)
            for sink, found in zip(PLACES, exchange.lists.sinks, strict=True):
                parts = zip(*(spikes(sink, step, rank) for rank in ranks), strict=True)
                times_ms, numbers = map(np.concatenate, parts)
                order = np.lexsort((numbers, times_ms))
                np.testing.assert_array_equal(found.times_ms, times_ms[order])
                np.testing.assert_array_equal(found.numbers, numbers[order])
                assert exchange.readout[PLACES[sink]] == len(found) == len(times_ms)


def test_sources_get_the_same_spikes_on_all_ranks_and_none_in_the_next_step(world, exchange):
    for step, count in enumerate(LENGTHS):
        times_ms = 5.0 * step + np.linspace(0.1, 5.0, count)
        if world.is_body:
            exchange.stimulus[:] = 7.0 + step  # also where the numbers of spikes stand
            for each in exchange.lists.sources[: step % 2 + 1]:
                each.add(times_ms, np.full(count, float(step)))
        exchange.share()
        exchange.receive()
        sent = [count, count if step % 2 else 0]
        assert exchange.stimulus.tolist() == [7.0 + step, *sent]
        for each, length in zip(exchange.lists.sources, sent, strict=True):
            assert len(each) == length
            if length:
                np.testing.assert_array_equal(each.times_ms, times_ms)
                assert set(each.numbers) == {step}
        exchange.gather()
        if world.is_body:
            assert [len(acted_ms) for acted_ms, _ in exchange.lists.acted] == sent
            assert exchange.lists.coming.start_ms == 5.0 * (step + 1)


def test_all_ranks_stop_together_with_spikes_under_way(world):
    stop = StopSign()
    exchange = open_exchange(world, DEVICES, stop)
    if world.is_body:
        exchange.lists.sources[0].add(np.array([1.0]), np.array([-1.0]))
        stop.request("signal SIGTERM")
    else:
        exchange.readout[:], exchange.lists.outgoing = [1.0, 0.0, 0.0], np.array([0.5, 3.0])
    exchange.gather()
    exchange.share()
    exchange.receive()
    assert exchange.stop_agreed


def test_without_lists_the_exchange_is_the_plain_one(world):
    plain = open_exchange(world, Devices((SOURCES[0],), (SINKS[1],), ()), StopSign())
    assert type(plain) is Exchange and plain.lists is None
    assert isinstance(open_exchange(world, Devices((), (SINKS[0],), ()), StopSign()), ListExchange)
