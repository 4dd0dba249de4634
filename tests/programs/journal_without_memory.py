# SPDX-License-Identifier: GPL-2.0-or-later
"""Let memory run out in the journal, and print what it says and which spikes it has when there is memory again."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from mpi4py import MPI

from cosim.engines.nest import kernel
from cosim.engines.nest.nestlink import NestlinkError
from cosim.engines.nest.nestlink.stepping import Journal, Stepper

STEP_MS, SPIKES = 250.0, 2000  # of a step

started = kernel.start(MPI.COMM_SELF, 1, 3, 0.1)
nest, link = started.nest, started.link


def create_relay() -> int:
    """A neuron that sends a thousand spikes at a time in the first step, and three thousand in the second."""
    relay = nest.Create("parrot_neuron")
    times_ms = 0.1 * np.arange(1, SPIKES + 1)
    trains = {"spike_times": np.round(np.concatenate([times_ms, STEP_MS + times_ms]), 1)}
    trains["spike_multiplicities"] = [1000] * SPIKES + [3000] * SPIKES
    nest.Connect(nest.Create("spike_generator", params=trains), relay)
    return relay.global_id


@contextmanager
def no_more_memory() -> Iterator[None]:
    """For large blocks; small ones find room in what the process has."""
    page = resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * page
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**20, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def message(call: Callable[[], object]) -> str:
    try:
        with no_more_memory():
            return f"went through: {call()}"
    except NestlinkError as error:
        return str(error)


relay = create_relay()
journal = Journal(link, np.array([relay]))
nest.Prepare()
stepper = Stepper(link, np.array([], dtype=int), STEP_MS)


def say(failed: str) -> None:
    count, spikes = journal.collect(), journal.spikes()
    whole = (spikes.node_ids == relay) & (spikes.times_ms > 0) & (spikes.times_ms <= nest.biological_time + STEP_MS)
    print(f"{failed}, then {np.sum(whole)} of {count} whole spikes")
    assert spikes.done[-1] - spikes.done[0] <= count
    journal.forget()


stepper.run()
say(message(journal.collect))
say(message(stepper.run))
