# SPDX-License-Identifier: GPL-2.0-or-later
"""Change the rate of a Poisson generator between Run calls through nestlink and count what arrives: ``... THREADS``."""

import sys

import numpy as np
from mpi4py import MPI

from cosim.devices.base import Setting
from cosim.engines.nest import kernel
from cosim.engines.nest.nestlink.stepping import Journal, Stepper

started = kernel.start(MPI.COMM_SELF, int(sys.argv[1]), 3, 0.1)
nest, link = started.nest, started.link
relays = nest.Create("parrot_neuron", 100)
generator = nest.Create("poisson_generator", params={"rate": 0.0})
nest.Connect(generator, relays, "all_to_all", {"delay": 0.1})
journal = Journal(link, np.array(relays.tolist()))
nest.Prepare()
stepper = Stepper(link, [Setting(generator.global_id, "rate")], 5.0)
for rate_hz in (0.0, 1000.0, 100.0, 0.0):
    stepper.set(np.array([rate_hz]))
    stepper.run()  # delays: what is on its way arrives
    journal.collect()
    journal.forget()
    nest.Run(100.0)
    print(rate_hz, journal.collect())
    journal.forget()
nest.Cleanup()
