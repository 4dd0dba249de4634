# SPDX-License-Identifier: GPL-2.0-or-later
"""The two collectives of a step, on several numbers of ranks."""

from __future__ import annotations

import time

import numpy as np
import pytest
from mpi4py import MPI

from cosim.exchange import Exchange
from cosim.world import StopSign, split

pytestmark = pytest.mark.mpi(min_size=2)

STEPS = 20


def contribution(rank: int, step: int, size: int) -> np.ndarray:
    """What a rank contributes in a step: it owns every size-th sink and leaves the rest at 0."""
    values = np.sin(1.0 + np.arange(7) + 10 * step)
    return np.where(np.arange(7) % size == rank, values, 0.0)


def test_the_body_rank_gets_exactly_what_each_owner_wrote():
    world = split()
    exchange = Exchange(world, 7, 2, StopSign())
    for step in range(STEPS):
        if not world.is_body:
            exchange.readout[:] = contribution(world.rank - 1, step, world.brain_ranks)
        exchange.gather()
        if world.is_body:
            np.testing.assert_array_equal(exchange.readout, np.sin(1.0 + np.arange(7) + 10 * step))
        exchange.share()


def test_all_ranks_get_the_same_bits_of_the_stimulus():
    world = split()
    exchange = Exchange(world, 1, 3, StopSign())
    for step in range(STEPS):
        expected = np.array([1 / 3, np.nextafter(0, 1), 1e300]) * (step + 1)
        if world.is_body:
            exchange.stimulus[:] = expected
        exchange.gather()
        exchange.share()
        assert exchange.stimulus.tobytes() == expected.tobytes()
        assert not exchange.stop_agreed


def test_a_stop_that_any_rank_wants_is_agreed_in_that_step():
    world = split()
    for asking in range(world.comm.size):
        stop = StopSign()
        exchange = Exchange(world, 2, 2, stop)
        for step in range(4):
            if step == 2 and world.rank == asking:
                stop.request("enough")
            exchange.gather()
            exchange.share()
            assert exchange.stop_agreed == (step >= 2)
            assert not exchange.failed


def test_a_stop_wanted_while_transfer_functions_run_is_agreed_in_that_step():
    world = split()
    stop = StopSign()
    exchange = Exchange(world, 1, 1, stop)
    exchange.gather()
    if world.is_body:
        stop.request("signal SIGTERM")
    exchange.share()
    assert exchange.stop_agreed and not exchange.failed


def test_readouts_of_several_ranks_are_added():
    world = split()
    exchange = Exchange(world, 3, 1, StopSign())
    for step in range(STEPS):
        if not world.is_body:
            exchange.readout[:] = (world.rank + step) * np.array([1.0, -2.0, 0.25])
        exchange.gather()
        if world.is_body:
            total = sum(rank + step for rank in range(1, world.comm.size))
            assert exchange.readout.tolist() == [total, -2.0 * total, 0.25 * total]
        exchange.share()


def test_a_failure_on_the_body_rank_is_known_to_all():
    world = split()
    stop = StopSign()
    exchange = Exchange(world, 2, 2, stop)
    with stop.on_failure("transfer functions"):
        if world.is_body:
            raise ValueError("no such muscle")
    exchange.gather()
    exchange.share()
    assert exchange.stop_agreed and exchange.failed


def test_an_experiment_without_ports_can_still_stop():
    world = split()
    stop = StopSign()
    exchange = Exchange(world, 0, 0, stop)
    if world.rank == 1:
        stop.request("enough")
    exchange.gather()
    exchange.share()
    assert exchange.stop_agreed
    assert exchange.readout.size == exchange.stimulus.size == 0


def test_waiting_leaves_the_core_to_others():
    world = split()
    exchange = Exchange(world, 1, 1, StopSign())
    MPI.COMM_WORLD.Barrier()
    if world.rank == 1:
        time.sleep(1.0)
    wall_s, busy_s = time.perf_counter(), time.process_time()
    exchange.gather()
    if world.is_body:
        wall_s, busy_s = time.perf_counter() - wall_s, time.process_time() - busy_s
        assert wall_s > 0.5
        assert busy_s < 0.5 * wall_s
    exchange.share()
