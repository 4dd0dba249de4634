# SPDX-License-Identifier: GPL-2.0-or-later
"""MPI as cosim starts it: modules have it from here.

Of all threads of a rank, NEST's among them, only the main one calls MPI (another one ends the job when it is told to
twice, whatever the main one does). mpi4py would ask for more, for which MPI libraries put locks around every call.
"""

import mpi4py

mpi4py.rc.thread_level = "funneled"

from mpi4py import MPI  # noqa: E402  (which starts MPI)

__all__ = ["MPI"]
