# SPDX-License-Identifier: GPL-2.0-or-later
"""Start NEST on the brain communicator. Brain ranks only; the one place where NEST is imported."""

from __future__ import annotations

import ctypes
import gc
import os
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from cosim.clone import nest_mpi
from cosim.engines.nest import nestlink
from cosim.engines.nest.nestlink import Nestlink, NestlinkError
from cosim.errors import ConfigurationError
from cosim.network.counting import MOST_THREADS
from cosim.parallel.launch import LAUNCHER_PREFIXES
from cosim.parallel.mpi import MPI


def check(brain_ranks: int, virtual_processes: int) -> None:
    """Check, without importing NEST, that it can run on so many ranks.

    Raises:
        ConfigurationError: no NEST or another version of it than nestlink needs, no nestlink for it, no MPI in it,
            ranks that do not divide virtual processes, or more threads than NEST can count.
    """
    if virtual_processes % brain_ranks:
        divisors = [str(n) for n in range(1, virtual_processes + 1) if virtual_processes % n == 0]
        raise ConfigurationError(
            f"brain.virtual_processes = {virtual_processes}: {brain_ranks} brain ranks do not divide it; "
            f"allowed numbers of brain ranks: {', '.join(divisors)} (and 1 body rank more in all)"
        )
    threads = virtual_processes // brain_ranks
    if threads > MOST_THREADS:
        raise ConfigurationError(
            f"brain.virtual_processes = {virtual_processes}: {threads} threads on each of {brain_ranks} brain ranks, "
            f"must be at most {MOST_THREADS}"
        )
    try:
        nest = nestlink.find_nest()
        nestlink.find(nest)
    except NestlinkError as error:
        raise ConfigurationError(str(error)) from None
    if brain_ranks > 1 and not nest.has_mpi:
        raise ConfigurationError(
            f"{brain_ranks} brain ranks need NEST with MPI, but this is {nest}: "
            f"`{nest_mpi()}` builds one, or use one brain rank with threads: `cosim run --ranks 1` or `mpiexec -n 2`"
        )


@dataclass(frozen=True)
class Kernel:
    """The nest module, nestlink, and what NEST was set to. Brain ranks only."""

    nest: ModuleType
    link: Nestlink
    virtual_processes: int
    seed: int
    resolution_ms: float
    ranks: MPI.Comm
    """The brain ranks."""

    def restart(self) -> None:
        """Start NEST anew in this process, without any network; memory goes back to the system. Collective.

        What was kept of the network of before must not be used any more: nodes, a `Stepper`, sinks, a journal.
        """
        self.nest.verbosity = self.nest.VerbosityLevel.WARNING  # type: ignore[attr-defined]
        self.link.forget_scaling()
        self.nest.ResetKernel()
        gc.collect()
        _give_memory_back()
        self.restore()

    def restore(self) -> None:
        """Set the kernel as it has to be; needed after every ``nest.ResetKernel()``. Collective.

        Raises:
            NestlinkError: nestlink and NEST do not count the same threads.
        """
        # NEST's module has a class of its own, with these as properties.
        self.nest.resolution = self.resolution_ms  # type: ignore[attr-defined]
        self.nest.total_num_virtual_procs = self.virtual_processes  # type: ignore[attr-defined]
        self.nest.rng_seed = self.seed  # type: ignore[attr-defined]
        self.link.check_threads()
        self.link.register_models()


def start(brain: MPI.Comm, virtual_processes: int, seed: int, resolution_ms: float) -> Kernel:
    """Import NEST, put it on ``brain`` and set the kernel up. Collective over the brain ranks.

    Raises:
        NestlinkError: NEST and nestlink do not fit each other, or NEST does not count these ranks.
    """
    nest = _import_nest()
    link = Nestlink(nestlink.find())
    if nest.build_info["have_mpi"]:
        link.set_communicator(brain.py2f())
    nest.ResetKernel()
    gc.collect()
    _give_memory_back()
    if nest.num_processes != brain.size:
        raise NestlinkError(f"NEST counts {nest.num_processes} processes on {brain.size} brain ranks")
    kernel = Kernel(nest, link, virtual_processes, seed, resolution_ms, brain)
    kernel.restore()
    link.forget_scaling()  # of a run before, in this process
    return kernel


def holds(virtual_processes: int, brain: MPI.Comm, node_ids: np.ndarray) -> np.ndarray:
    """Which of these neurons, (n,) node ids, are on this rank, (n,) booleans.

    NEST's ``VPManager::node_id_to_vp`` and ``MPIManager::get_process_id_of_vp``.
    """
    return node_ids % virtual_processes % brain.size == brain.rank


def _give_memory_back() -> None:
    """Without it the memory of each network that is built and deleted is kept for this process."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only the GNU C library has it
    if trim:
        trim(0)


def _import_nest() -> ModuleType:
    # NEST without MPI ends the process when it sees that an MPI launcher started it.
    for name in [name for name in os.environ if name.startswith(LAUNCHER_PREFIXES)]:
        del os.environ[name]  # MPI itself has read them: mpi4py is initialised
    os.environ["PYNEST_QUIET"] = "1"
    import nest

    nest.verbosity = nest.VerbosityLevel.WARNING
    return nest
