# SPDX-License-Identifier: GPL-2.0-or-later
"""MPI as cosim starts it: modules have it from here.

Of all threads of a rank, NEST's among them, only the main one calls MPI (another one ends the job when it is told to
twice, whatever the main one does). mpi4py would ask for more, for which MPI libraries put locks around every call.
"""

import mpi4py

from cosim.errors import ConfigurationError

mpi4py.rc.thread_level = "funneled"

try:
    from mpi4py import MPI  # which starts MPI
except (ImportError, RuntimeError):  # many lines, one for each file that was tried
    raise ConfigurationError("no MPI library that mpi4py can load: pip install mpich brings one") from None

__all__ = ["MPI"]
