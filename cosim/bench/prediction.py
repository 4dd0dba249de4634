# SPDX-License-Identifier: GPL-2.0-or-later
"""What an experiment would cost on other machines, by the model of ``cosim bench model``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosim.bench.costs import Load, predict
from cosim.engines.nest import memory
from cosim.errors import ConfigurationError
from cosim.experiment.brains import TableBrain
from cosim.experiment.config import Experiment
from cosim.network.network import Network, drive_links, expected_synapses
from cosim.plan import resolve_devices

FILE = Path("results/bench/model.json")


@dataclass(frozen=True)
class Allocation:
    """Machines ("nodes"), brain ranks in all, and threads of each rank."""

    nodes: int
    ranks: int
    threads: int


def parse(text: str) -> Allocation:
    """``nodes=32,ranks=64,threads=36``.

    Raises:
        ConfigurationError: other keys, or numbers that do not fit together.
    """
    pairs = [part.partition("=")[::2] for part in text.split(",")]
    wanted = {"nodes", "ranks", "threads"}
    if {name for name, _ in pairs} != wanted or not all(value.isdigit() and int(value) for _, value in pairs):
        raise ConfigurationError(f"--predict {text}: must be like nodes=32,ranks=64,threads=36, all 1 or more")
    given = Allocation(**{name: int(value) for name, value in pairs})
    if given.ranks % given.nodes:
        raise ConfigurationError(
            f"--predict {text}: {given.ranks} ranks cannot be shared evenly by {given.nodes} nodes"
        )
    return given


def read(path: Path = FILE) -> dict[str, Any]:
    """A model that ``cosim bench model`` wrote.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file: `cosim bench model` makes one on this machine") from None


def describe(experiment: Experiment, allocation: Allocation, model: Mapping[str, Any]) -> dict[str, Any]:
    """Predicted times in s, real-time factor and memory in bytes, with the errors of the fit.

    The mean rate is that of the fitted runs.

    Raises:
        ConfigurationError: the brain is a script.
    """
    tables, expected = network_of(experiment)
    clock = experiment.config.clock
    load = Load(
        neurons=sum(each.size for each in tables.populations if not each.is_relay),
        synapses=float(expected.sum()) + drive_links(tables),
        rate_hz=model["rate_hz"],
        ranks=allocation.ranks,
        threads=allocation.threads,
        step_ms=clock.coupling_step_ms,
        resolution_ms=clock.resolution_ms,
        min_delay_ms=model["min_delay_ms"],
    )
    held = bytes_per_rank(experiment, allocation.ranks, allocation.threads)
    return {
        "nodes": allocation.nodes,
        "ranks": allocation.ranks,
        "threads": allocation.threads,
        "rate_hz": load.rate_hz,
        **predict(model["constants"], load),
        "bytes_per_rank": held,
        "bytes_per_node": held * allocation.ranks // allocation.nodes,
        "fit_errors": model["fit_errors"],
    }


def bytes_per_rank(experiment: Experiment, ranks: int, threads: int) -> int:
    """Predicted peak memory of a brain rank, see ``cosim.engines.nest.memory``."""
    tables, expected = network_of(experiment)
    devices = resolve_devices(experiment, tables.sizes)
    load = memory.weigh(tables, expected, devices, experiment.config.clock.resolution_ms)
    return load.split(ranks, threads).bytes_per_rank


def network_of(experiment: Experiment) -> tuple[Network, np.ndarray]:
    """The tables of an experiment's network and the mean number of synapses of each projection.

    Raises:
        ConfigurationError: the brain is a script.
    """
    if not isinstance(experiment.brain, TableBrain):
        raise ConfigurationError(f"{experiment.name}: nothing can be predicted of a brain that is a script")
    tables = experiment.network()
    return tables, expected_synapses(tables)
