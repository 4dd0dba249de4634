# SPDX-License-Identifier: GPL-2.0-or-later
"""The messages of a step, on several numbers of ranks."""

from __future__ import annotations

import signal
import time

import numpy as np
import pytest
from mpi4py import MPI

from cosim.parallel.exchange import Exchange
from cosim.parallel.stop import StopSign
from cosim.parallel.world import World, split

pytestmark = pytest.mark.mpi(min_size=2)

STEPS = 20


@pytest.fixture
def world() -> World:
    return split()


@pytest.fixture
def stop() -> StopSign:
    return StopSign()


def step(exchange: Exchange) -> None:
    exchange.gather()
    exchange.share(False)
    exchange.receive()


def test_the_body_rank_gets_exactly_what_the_owner_of_each_sink_wrote(world, stop):
    exchange = Exchange(world, 7, 2, stop)
    readout, sinks = exchange.readout, np.arange(7)
    for number in range(STEPS):
        values = np.sin(1.0 + sinks + 10 * number)
        if not world.is_body:
            readout[:] = np.where(sinks % world.brain_ranks == world.brain.rank, values, 0.0)
        exchange.gather()
        if world.is_body:
            np.testing.assert_array_equal(readout, values)
        exchange.share(False)
        exchange.receive()


def test_readouts_of_several_ranks_are_added(world, stop):
    exchange = Exchange(world, 3, 1, stop)
    for number in range(STEPS):
        if not world.is_body:
            exchange.readout[:] = (world.rank + number) * np.array([1.0, -2.0, 0.25])
        exchange.gather()
        if world.is_body:
            total = sum(rank + number for rank in range(1, world.comm.size))
            assert exchange.readout.tolist() == [total, -2.0 * total, 0.25 * total]
        exchange.share(False)
        exchange.receive()


def test_all_ranks_get_the_same_bits_of_the_stimulus(world, stop):
    exchange = Exchange(world, 1, 4, stop)
    stimulus = exchange.stimulus
    for number in range(STEPS):
        expected = np.array([1 / 3, np.nextafter(0, 1), 1e300, -0.0]) * (number + 1)
        if world.is_body:
            stimulus[:] = expected
        step(exchange)
        assert stimulus.tobytes() == expected.tobytes()
        assert not exchange.stop_agreed


def test_a_stop_that_any_rank_wants_is_agreed_in_that_step(world):
    for asking in range(world.comm.size):
        stop = StopSign()
        exchange = Exchange(world, 2, 2, stop)
        for number in range(4):
            if number == 2 and world.rank == asking:
                stop.on_signal(signal.SIGUSR1)
            step(exchange)
            assert exchange.stop_agreed == (number >= 2)
        if world.is_body:
            assert stop.reason == "signal SIGUSR1"
            assert not exchange.failed


def test_a_stop_that_all_brain_ranks_want_at_once_is_agreed(world, stop):
    exchange = Exchange(world, 2, 2, stop)
    if not world.is_body:
        stop.on_signal(signal.SIGTERM)
    step(exchange)
    assert exchange.stop_agreed and not exchange.failed


def test_a_stop_wanted_while_transfer_functions_run_is_agreed_in_that_step(world, stop):
    exchange = Exchange(world, 1, 1, stop)
    exchange.gather()
    if world.is_body:
        stop.request("signal SIGTERM")
    exchange.share(False)
    exchange.receive()
    assert exchange.stop_agreed and not exchange.failed


def test_a_failure_on_the_body_rank_is_known_to_all_also_when_others_want_to_stop(world, stop):
    exchange = Exchange(world, 2, 2, stop)
    with stop.on_failure("transfer functions"):
        if world.is_body:
            raise ValueError("no such muscle")
    if not world.is_body:
        stop.on_signal(signal.SIGUSR1)
    step(exchange)
    assert exchange.stop_agreed and exchange.failed


@pytest.mark.parametrize(("sinks", "sources"), [(0, 0), (0, 3), (3, 0)])
def test_an_experiment_without_sinks_or_sources_runs_and_stops(world, stop, sinks, sources):
    exchange = Exchange(world, sinks, sources, stop)
    if not world.is_body:
        exchange.readout[:] = 1.5
    else:
        exchange.stimulus[:] = 2.5
    step(exchange)
    assert exchange.stimulus.tolist() == [2.5] * sources
    if world.is_body:
        assert exchange.readout.tolist() == [1.5 * world.brain_ranks] * sinks
    assert not exchange.stop_agreed
    if world.rank == 1:
        stop.on_signal(signal.SIGUSR1)
    step(exchange)
    assert exchange.stop_agreed


def test_a_write_to_disk_that_one_rank_wants_is_agreed_by_all_in_that_step(world, stop):
    for asking in range(world.comm.size):
        exchange = Exchange(world, 2, 2, stop)
        agreed = []
        for number in range(3):
            exchange.gather(flush=number == 1 and world.rank == asking)
            exchange.share(False)
            exchange.receive()
            agreed.append(exchange.flush_agreed)
        assert agreed == [False, True, False]
        assert not exchange.stop_agreed


def test_what_acted_in_a_step_is_the_stimulus_that_was_shared_before_it(world, stop):
    exchange = Exchange(world, 0, 2, stop)
    for number in range(4):
        if world.is_body:
            exchange.stimulus[:] = [number, -number]
        exchange.share(False)
        exchange.receive()
        if world.is_body:
            assert exchange.acted.tolist() == [max(0, number - 1), min(0, 1 - number)]


def test_brain_ranks_send_without_waiting_for_the_body_rank_or_for_each_other(world, stop):
    """What a brain rank does after `gather` overlaps with all that others do; large messages too."""
    exchange = Exchange(world, 1001, 3, stop)
    order = []
    if world.is_body:
        for rank in range(1, world.comm.size):
            order.append(world.comm.recv(source=rank, tag=7))  # sent after `gather` and `share`
    exchange.gather()
    exchange.share(False)
    if not world.is_body:
        world.comm.send("over", dest=0, tag=7)
    exchange.receive()
    assert order == (["over"] * world.brain_ranks if world.is_body else [])


def share_of_a_core(collective, waits: bool) -> float:
    """Processor time over wall time of a rank that waits half a second for the others in ``collective``."""
    MPI.COMM_WORLD.Barrier()
    if not waits:
        time.sleep(0.5)
    wall_s, busy_s = time.perf_counter(), time.process_time()
    collective()
    wall_s, busy_s = time.perf_counter() - wall_s, time.process_time() - busy_s
    assert not waits or wall_s > 0.4
    return busy_s / wall_s


def test_the_body_rank_leaves_its_core_to_others_while_the_brain_runs(world, stop):
    exchange = Exchange(world, 1, 1, stop)
    used = share_of_a_core(exchange.gather, waits=world.is_body)
    assert not world.is_body or used < 0.3


def test_brain_ranks_leave_their_cores_to_others_while_transfer_functions_run(world, stop):
    exchange = Exchange(world, 1, 1, stop)
    exchange.gather()

    def share() -> None:
        exchange.share(False)
        exchange.receive()

    used = share_of_a_core(share, waits=not world.is_body)
    assert world.is_body or used < 0.3


def test_brain_ranks_leave_their_cores_to_others_while_the_body_rank_finalizes(world):
    used = share_of_a_core(world.synchronise, waits=not world.is_body)
    assert world.is_body or used < 0.3
