# SPDX-License-Identifier: GPL-2.0-or-later
"""How a benchmark spreads an experiment over brain ranks and threads."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from cosim.bench.launch import in_allocation
from cosim.bench.machine import cores
from cosim.brain import kernel
from cosim.config import load
from cosim.errors import ConfigurationError


@dataclass(frozen=True)
class Split:
    """``overrides`` are the user's and what the split needs."""

    ranks: int
    threads: int
    overrides: list[str]

    @property
    def oversubscribed(self) -> bool:
        """Whether brain threads and body rank share the cores of this machine; under Slurm it is Slurm's to say."""
        return not in_allocation() and self.ranks * self.threads + 1 > cores()


def split(options: argparse.Namespace) -> Split:
    """The split that ``--ranks`` and ``--threads`` ask for; warns if there are too few cores.

    Raises:
        ConfigurationError: the experiment, or numbers that do not fit it or this NEST.
    """
    for option, number in (("--ranks", options.ranks), ("--threads", options.threads)):
        if number is not None and number < 1:
            raise ConfigurationError(f"{option} {number}: must be 1 or more")
    overrides = list(options.overrides)
    if options.threads is not None:
        overrides.append(f"brain.virtual_processes={options.ranks * options.threads}")
    processes = load(options.experiment, overrides).config.brain.virtual_processes
    kernel.check(options.ranks, processes)
    found = Split(options.ranks, processes // options.ranks, overrides)
    if found.oversubscribed:
        sys.stderr.write(
            f"cosim: {found.ranks} brain ranks x {found.threads} threads and a body rank share {cores()} cores: "
            "what they measure is how they share; fewer with --ranks and --threads\n"
        )
    return found
