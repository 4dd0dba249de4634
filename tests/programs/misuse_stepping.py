# SPDX-License-Identifier: GPL-2.0-or-later
"""Use what nestlink offers for stepping where it must not be used, and print what it says."""

import numpy as np
from mpi4py import MPI

from cosim.devices.base import Reading, Setting
from cosim.engines.nest import kernel
from cosim.engines.nest.nestlink import NestlinkError
from cosim.engines.nest.nestlink.stepping import Journal, SinkValues, Stepper

started = kernel.start(MPI.COMM_SELF, 1, 3, 0.1)
nest, link = started.nest, started.link
neuron, generator = nest.Create("iaf_psc_exp"), nest.Create("poisson_generator")
ids = np.array([neuron.global_id])


def say(call, *arguments):
    try:
        print("went through:", call(*arguments))
    except NestlinkError as error:
        print(str(error).replace("\n", " "))


say(Stepper(link, [], 1.0).run)
say(Journal, link, np.array([generator.global_id]))
Journal(link, ids)
say(Journal, link, ids)
nest.Prepare()
for step_ms in (0.0, -1.0, 0.05):
    say(Stepper, link, [], step_ms)
say(Stepper, link, [Setting(generator.global_id, "amplitude")], 1.0)
say(SinkValues, link, [Reading(neuron.global_id, "rate")])
Stepper(link, [], 1.0).run()
nest.Cleanup()
print(nest.biological_time)
