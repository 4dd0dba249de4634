# SPDX-License-Identifier: GPL-2.0-or-later
"""The world under MPI, on several numbers of ranks: who is who, and that all ranks agree."""

from __future__ import annotations

import time

import pytest
from mpi4py import MPI

from cosim.errors import ConfigurationError
from cosim.parallel.world import World, split

pytestmark = pytest.mark.mpi(min_size=2)


@pytest.fixture
def world() -> World:
    return split()


def test_rank_0_is_the_body_and_all_others_are_the_brain(world):
    rank, size = MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size
    assert (world.rank, world.comm.size, world.brain_ranks) == (rank, size, size - 1)
    assert world.is_body == (rank == 0)
    if rank > 0:
        assert (world.brain.rank, world.brain.size) == (rank - 1, size - 1)


def test_all_ranks_know_who_is_on_which_machine(world):
    """Here all are on one."""
    (machine,) = world.machines
    assert (machine.brain_ranks, machine.has_body) == (MPI.COMM_WORLD.size - 1, True)
    assert machine.available_bytes > 0


def test_the_coupling_has_a_communicator_of_its_own(world):
    assert MPI.Comm.Compare(world.comm, MPI.COMM_WORLD) == MPI.CONGRUENT


def test_ranks_that_see_no_others_refuse_to_start():
    """A PMI that does not fit the MPI library gives every rank a world of its own."""
    size = MPI.COMM_WORLD.size
    with pytest.raises(ConfigurationError, match=f"started {size} ranks .* but MPI sees a world of 1"):
        split(MPI.COMM_SELF)


def test_what_the_body_rank_makes_is_made_once_and_stays_there(world):
    calls = []
    made = world.on_body(lambda: calls.append(world.rank) or "body")
    assert (made, calls) == (("body", [0]) if world.is_body else (None, []))


def test_an_error_of_the_body_rank_is_raised_on_all_ranks_with_the_same_text(world):
    def refuse():
        raise ConfigurationError("patch_mm = 7: too large")

    with pytest.raises(ConfigurationError) as caught:
        world.on_body(refuse)
    assert str(caught.value) == "patch_mm = 7: too large"


def test_what_the_body_rank_shares_arrives_everywhere(world):
    assert world.share({"seed": 3} if world.is_body else None) == {"seed": 3}


def test_one_item_of_each_rank_reaches_the_body_rank_in_order(world):
    items = world.to_body(world.rank**2)
    assert items == ([rank**2 for rank in range(world.comm.size)] if world.is_body else [])


def test_no_rank_passes_synchronise_before_all_have_reached_it(world):
    time.sleep(0.05 * world.rank)
    reached = time.monotonic()
    world.synchronise()
    passed = time.monotonic()
    assert min(MPI.COMM_WORLD.allgather(passed)) >= max(MPI.COMM_WORLD.allgather(reached))
