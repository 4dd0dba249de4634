# SPDX-License-Identifier: GPL-2.0-or-later
"""How a benchmark spreads an experiment over brain ranks and threads."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cosim.bench.machine import cores
from cosim.engines.nest import kernel
from cosim.errors import ConfigurationError
from cosim.experiment.config import load
from cosim.parallel.launch import in_allocation


@dataclass(frozen=True)
class Split:
    """``overrides`` are the user's and what the split needs."""

    ranks: int
    threads: int
    overrides: list[str]

    @property
    def oversubscribed(self) -> bool:
        """Whether brain threads and body rank share this machine's cores; under Slurm that is Slurm's."""
        return not in_allocation() and self.ranks * self.threads + 1 > cores()

    def told(self, options: argparse.Namespace) -> dict[str, Any]:
        """What a benchmark's JSON says of the experiment and its split."""
        return {
            "experiment": options.experiment,
            "overrides": options.overrides,
            "brain_ranks": self.ranks,
            "threads_per_brain_rank": self.threads,
            "oversubscribed": self.oversubscribed,
        }


def split(options: argparse.Namespace) -> Split:
    """The split that ``--ranks`` and ``--threads`` ask for, see `split_over`."""
    return split_over(options.experiment, options.overrides, options.ranks, options.threads)


def split_over(experiment: str, overrides: Sequence[str], ranks: int, threads: int | None) -> Split:
    """The split of an experiment over ``ranks`` brain ranks; warns if there are too few cores.

    Without ``threads`` the experiment's virtual processes are shared among the ranks.

    Raises:
        ConfigurationError: the experiment, or numbers that do not fit it or this NEST.
    """
    for option, number in (("--ranks", ranks), ("--threads", threads)):
        if number is not None and number < 1:
            raise ConfigurationError(f"{option} {number}: must be 1 or more")
    overrides = list(overrides)
    if threads is not None:
        overrides.append(f"brain.virtual_processes={ranks * threads}")
    processes = load(experiment, overrides).config.brain.virtual_processes
    kernel.check(ranks, processes)
    found = Split(ranks, processes // ranks, overrides)
    if found.oversubscribed:
        sys.stderr.write(
            f"cosim: {found.ranks} brain ranks x {found.threads} threads and a body rank share {cores()} "
            "cores; fewer with --ranks and --threads\n"
        )
    return found
