# SPDX-License-Identifier: GPL-2.0-or-later
"""What a rank can tell by itself: whether the world has the right size."""

from __future__ import annotations

import pytest

from cosim.errors import ConfigurationError
from cosim.world import check_size


@pytest.mark.parametrize("name", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_a_launcher_that_started_another_number_of_ranks_is_named(name):
    """With a PMI that does not fit every rank is alone in a world of its own."""
    with pytest.raises(ConfigurationError, match=rf"started 3 ranks \({name}=3\) but MPI sees a world of 1"):
        check_size(1, {name: "3"})


def test_the_launcher_of_the_ranks_is_believed_before_slurm():
    """mpiexec inside a Slurm job: Slurm counts mpiexec's helpers, one a node."""
    check_size(4, {"PMI_SIZE": "4", "SLURM_STEP_NUM_TASKS": "2"})


@pytest.mark.parametrize("environment", [{}, {"PMI_SIZE": ""}])
def test_a_world_of_which_no_launcher_tells_the_size_passes(environment):
    check_size(2, environment)


def test_one_rank_is_too_few():
    with pytest.raises(ConfigurationError, match="at least 2 MPI ranks .* got 1: try `mpiexec -n 2"):
        check_size(1, {})
