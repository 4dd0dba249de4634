# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim run``: start an experiment under MPI, on as many ranks as make sense, or be one of its ranks."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import mpi4py

from cosim.errors import ConfigurationError
from cosim.experiment.options import Options, parse
from cosim.parallel import launch


def run(arguments: Sequence[str]) -> int:
    """``cosim run`` with these options; a process that no launcher started becomes a launcher, and does not return.

    Raises:
        ConfigurationError: no such experiment or run, no launcher, no NEST, or ranks that do not fit them or the
            allocation.
    """
    if launch.is_rank():
        from cosim.program import main  # starts MPI

        return main(arguments)
    mpi4py.rc.initialize = False  # this process is no rank
    options = parse(arguments, quiet=False, program="cosim run")
    launch.launcher(ranks=2, threads=1)  # if there is none, it is said before anything is built
    launch.check_allocation(ranks=(options.ranks or 1) + 1)
    tables, recorded_ranks = _tables(options)
    processes = _virtual_processes(tables)
    _see_to_nestlink()
    ranks = options.ranks or brain_ranks(processes, recorded_ranks)
    _check(ranks, processes)
    cores = os.environ.get("SLURM_CPUS_PER_TASK", "")
    launch.become(ranks + 1, int(cores) if cores.isdigit() else processes // ranks, ["cosim", "run", *arguments])


def _tables(options: Options) -> tuple[dict[str, Any], int | None]:
    """The tables of an experiment, or those of a recorded run and how many brain ranks it had."""
    from cosim.experiment.config import find_experiment, read_toml
    from cosim.experiment.overrides import override
    from cosim.results.run_data import load

    ranks = None
    if recorded := options.resume or options.replay:
        run = load(recorded)
        tables, ranks = read_toml(run.folder.config_file), int(run.provenance["brain_ranks"])
    else:
        assert options.experiment is not None  # `parse` wants one where no recorded run is named
        tables = read_toml(find_experiment(options.experiment) / "experiment.toml")
    override(tables, options.overrides)
    return tables, ranks


def _virtual_processes(tables: dict[str, Any]) -> int:
    """Those of the brain; 1 where the run will refuse what the tables say."""
    from cosim.experiment.config import BrainSection

    default = BrainSection.model_fields["virtual_processes"].default
    brain = tables.get("brain")
    number = brain.get("virtual_processes", default) if isinstance(brain, dict) else default
    return number if isinstance(number, int) and number > 0 else 1


def brain_ranks(virtual_processes: int, recorded_ranks: int | None) -> int:
    """As many as the allocation has, or a recorded run had if this machine has the cores; else one with threads.

    Fewer where NEST has no MPI or the virtual processes cannot be shared among so many; that is said.
    """
    from cosim.engines.nest.nestlink import find_nest

    offered = recorded_ranks or 1
    if launch.in_allocation():
        offered = max(1, launch.allocated_ranks() - 1)
    elif offered >= len(os.sched_getaffinity(0)):
        offered = 1
    ranks = next(ranks for ranks in range(offered, 0, -1) if virtual_processes % ranks == 0)
    if ranks > 1 and not find_nest().has_mpi:
        _say(f"1 brain rank in place of {ranks}, as this NEST has no MPI")
        return 1
    if ranks < offered:
        processes = f"brain.virtual_processes = {virtual_processes}"
        _say(f"brain ranks: {ranks} in place of {offered}, which do not divide {processes}")
    return ranks


def _check(ranks: int, virtual_processes: int) -> None:
    from cosim.engines.nest import kernel

    kernel.check(ranks, virtual_processes)


def _see_to_nestlink() -> None:
    """Build nestlink for the NEST that is installed, unless that was done. Raises ConfigurationError."""
    from cosim.engines.nest.nestlink import NestlinkError, build, build_folder, find_nest

    try:
        folder = build_folder(find_nest())
    except (NestlinkError, OSError) as error:
        raise ConfigurationError(str(error)) from None
    try:
        if not folder.exists():
            _say("building nestlink for this NEST, once (half a minute)")
            build.build()
    except NestlinkError as error:
        raise ConfigurationError(str(error)) from None
    except OSError as error:
        problem = "nestlink cannot be built there; the variable COSIM_CACHE may name another folder"
        raise ConfigurationError(f"{folder.parent}: {error.strerror}: {problem}") from None


def _say(text: str) -> None:
    print(f"cosim: {text}", file=sys.stderr, flush=True)
