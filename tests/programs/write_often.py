# SPDX-License-Identifier: GPL-2.0-or-later
"""run.py that writes to disk after every step: ``mpiexec -n N python write_often.py <arguments of run.py>``."""

import sys

from cosim.program import main
from cosim.record import series

series.FLUSH_INTERVAL_S = 0.0
sys.exit(main(sys.argv[1:]))
