# SPDX-License-Identifier: GPL-2.0-or-later
"""Use what nestlink offers for stepping where it must not be used, and print what it says."""

import numpy as np
from mpi4py import MPI

from cosim.brain import kernel
from cosim.brain.nestlink import NestlinkError
from cosim.brain.nestlink.stepping import Journal, SinkVoltages

started = kernel.start(MPI.COMM_SELF, 1, 3, 0.1)
nest, link = started.nest, started.link
neuron, generator = nest.Create("iaf_psc_exp"), nest.Create("poisson_generator")
ids = np.array([neuron.global_id])


def say(call, *arguments):
    try:
        print("went through:", call(*arguments))
    except NestlinkError as error:
        print(str(error).replace("\n", " "))


say(link.run, 1.0)
say(Journal, link, np.array([generator.global_id]))
Journal(link, ids)
say(Journal, link, ids)
nest.Prepare()
for duration_ms in (0.0, -1.0, 0.05):
    say(link.run, duration_ms)
say(SinkVoltages, link, ids)
link.run(1.0)
nest.Cleanup()
print(nest.biological_time)
