# SPDX-License-Identifier: GPL-2.0-or-later
"""Step a small network 6000 times, its spikes recorded as in a run, and print how much memory came after 1000 steps.

Sinks read a voltage, 200 samples of a multimeter, and all weights.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from mpi4py import MPI

from cosim.devices.base import Neurons, Reading, Samples, Setting, Weights
from cosim.engines.nest import kernel
from cosim.engines.nest.nestlink.blocks import make_multimeter
from cosim.engines.nest.nestlink.stepping import Journal, SinkValues, Stepper
from cosim.parallel.machine import resident_bytes
from cosim.record.profile import STEP_PHASES
from cosim.record.recorder import BrainRecorder

started = kernel.start(MPI.COMM_SELF, 1, 3, 0.1)
nest, link = started.nest, started.link
relays = nest.Create("parrot_neuron", 200)
generator = nest.Create("poisson_generator")
sink = nest.Create("iaf_psc_alpha", params={"V_th": float("inf")})
nest.Connect(generator, relays, "all_to_all", {"delay": 1.0})
nest.Connect(relays, sink, "all_to_all", {"delay": 1.0})
listeners = nest.Create("iaf_psc_alpha", 20)
nest.Connect(relays, listeners, "all_to_all", {"delay": 1.0})
ids, heard = np.array(relays.tolist()), np.array(listeners.tolist())
journal = Journal(link, ids)
meter = make_multimeter(nest, link, "here", listeners, 0.1, ["V_m"])
nest.Prepare()
stepper = Stepper(link, [Setting(generator.global_id, "rate")], 1.0)
ends = Neurons("relays", ids, range(200)), Neurons("listeners", heard, range(20))
blocks = Samples(meter, heard, 0.1, 10, 1), Weights("all", *ends, (0.0,), every=1, full_every=100)
voltages = SinkValues(link, [Reading(sink.global_id, "V_m"), *blocks])
brain = SimpleNamespace(
    collect=journal.collect,
    spikes=journal.spikes,
    forget_spikes=journal.forget,
    kept_weights=voltages.kept_weights,
)
recorder = BrainRecorder(Path(sys.argv[1]), brain)
rate_hz, read, profile = np.zeros(1), np.zeros(1 + 200 + 4), np.zeros((1, len(STEP_PHASES)))
for step in range(6000):
    rate_hz[0] = 900.0 + step % 200
    stepper.set(rate_hz)
    stepper.run()
    voltages.read(read)
    recorder.record()
    stepper.run_ahead() if step < 5999 else None
    recorder.record_profile(profile)
    if step % 100 == 99:
        recorder.flush()
    if step == 999:
        before = resident_bytes()
grown = resident_bytes() - before
assert read[0] == sink.V_m != 0
assert read[200] == listeners[-1].V_m
assert read[201:].tolist() == [4000 * 2.0**4, 0.0, 0.0, 4000.0]
recorder.close()
nest.Cleanup()
print(grown)
