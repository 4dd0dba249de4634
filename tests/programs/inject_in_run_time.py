# SPDX-License-Identifier: GPL-2.0-or-later
"""Inject spikes where NEST's clock began anew after 100 ms of a run, and print what a sink of spikes lists."""

import numpy as np
from mpi4py import MPI

from cosim.devices.base import Injection, Setting, Tapping, Way
from cosim.engines.nest import kernel
from cosim.engines.nest.nestlink.spikes import Injector, Taps
from cosim.engines.nest.nestlink.stepping import Journal, Stepper

BEFORE_MS = 100.0

started = kernel.start(MPI.COMM_SELF, 2, 3, 0.1)
nest, link = started.nest, started.link
relays, generator = nest.Create("parrot_neuron", 6), nest.Create("spike_generator")
injectors = nest.Create("spike_train_injector", 3)
nest.Connect(injectors, relays[::2], "one_to_one", {"delay": 2.0})
nest.Connect(generator, relays[::2], "all_to_all", {"delay": 1.0})
ids = np.array(relays.tolist())
journal = Journal(link, ids, BEFORE_MS, True)
taps = Taps(link, [(0, Tapping(ids, range(10, 16), 0))])
nest.Prepare()
stepper = Stepper(link, [Setting(generator.global_id, "", way=Way.ELSEWHERE)], 10.0)
injector = Injector(link, Injection(generator.global_id, injectors[0].global_id, range(10, 16, 2)))
injector.send(np.array([103.0, 104.5, 104.5]), np.array([-1.0, 12.0, 14.0]))
stepper.run()
values = np.zeros(1)
message = taps.read(values)
count = journal.collect()
times_ms, numbers = message[: len(message) // 2], message[len(message) // 2 :]
print(values[0], count, sorted(zip(times_ms.round(6).tolist(), numbers.tolist(), strict=True)))
