# SPDX-License-Identifier: GPL-2.0-or-later
"""Print NEST's min_delay in ms when it has been fitted to a step: ``... DELAY_MS STEP_MS``."""

import sys

from mpi4py import MPI

from cosim.engines.nest import kernel
from cosim.engines.nest.nestlink.stepping import Stepper

delay_ms, step_ms = map(float, sys.argv[1:])
started = kernel.start(MPI.COMM_SELF, 1, 3, 0.1)
nest = started.nest
neurons = nest.Create("iaf_psc_alpha", 2)
nest.Connect(neurons, neurons, "all_to_all", {"delay": delay_ms})
started.link.fit_min_delay(step_ms)
nest.Prepare()
print(nest.min_delay)
Stepper(started.link, [], step_ms).run()
nest.Cleanup()
