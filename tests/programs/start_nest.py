# SPDX-License-Identifier: GPL-2.0-or-later
"""Start NEST with some build of nestlink's first unit, and print what is wrong with it: ``... LIBRARY THREADS``."""

import sys
from pathlib import Path

from mpi4py import MPI

from cosim.engines.nest import kernel
from cosim.engines.nest.nestlink import Nestlink, NestlinkError

library, threads = Path(sys.argv[1]), int(sys.argv[2])
starting = ("nestlink_set_communicator", "nestlink_check_threads")
Nestlink.signatures = {name: Nestlink.signatures[name] for name in starting}
kernel.nestlink.find = lambda: library
try:
    kernel.start(MPI.COMM_SELF, threads, 1, 0.1)
except NestlinkError as error:
    print(error)
