# SPDX-License-Identifier: GPL-2.0-or-later
"""From what a user typed to a plan that all ranks follow. Body rank only; nothing here imports NEST or PyBullet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosim import transfer
from cosim.brain import kernel
from cosim.brain.network import Network
from cosim.config import Clock, Experiment, load
from cosim.devices import Devices, make_ports, resolve
from cosim.errors import ConfigurationError
from cosim.options import Options
from cosim.record.folder import RunFolder, make_folder


@dataclass(frozen=True)
class Plan:
    """What every rank has to know; small, and broadcast once."""

    clock: Clock
    seed: int
    virtual_processes: int
    network: Network
    devices: Devices
    record_spikes: str
    folder: RunFolder


@dataclass(frozen=True)
class Prepared:
    """A plan and what only the body rank needs besides."""

    plan: Plan
    experiment: Experiment


def prepare(options: Options, brain_ranks: int) -> Prepared:
    """Load the experiment, check everything that can be checked before NEST starts, and make the results folder.

    Raises:
        ConfigurationError: all problems together.
    """
    experiment = load(options.experiment, options.overrides)
    config = experiment.config
    where = experiment.folder / "experiment.toml"
    problems: list[str] = []
    with _collect(problems):
        kernel.check(brain_ranks, config.brain.virtual_processes)
    with _collect(problems, f"{where}: "):
        network = _network(experiment)
        devices = resolve(config, _sizes(network), _full_sizes(experiment, network), experiment.body.make_ports())
    _raise_any(problems)
    problems += _transfer_problems(experiment, devices)
    _raise_any(problems)
    folder = make_folder(experiment.folder.name, options.out, Path("results"))
    virtual_processes, record = config.brain.virtual_processes, config.record.spikes
    plan = Plan(config.clock, config.seed, virtual_processes, network, devices, record, folder)
    return Prepared(plan, experiment)


def ports(
    experiment: Experiment,
    devices: Devices,
    of_body: Mapping[str, object],
    readout: np.ndarray,
    stimulus: np.ndarray,
) -> dict[str, object]:
    """Everything that transfer functions may ask for, by name, except the clock."""
    return {**make_ports(devices, readout, stimulus), **of_body, "protocol": experiment.config.protocol}


@contextmanager
def _collect(problems: list[str], prefix: str = "") -> Iterator[None]:
    """Add what the block raises for a user's mistake to ``problems``, one line each."""
    try:
        yield
    except (ConfigurationError, ValueError, FileNotFoundError) as error:
        problems.extend(prefix + line for line in str(error).splitlines())


def _raise_any(problems: list[str]) -> None:
    if problems:
        raise ConfigurationError("\n".join(problems))


def _network(experiment: Experiment) -> Network:
    network = experiment.brain_module.network(**experiment.brain_parameters)
    network.check(experiment.config.clock.resolution_ms)
    return network


def _sizes(network: Network) -> dict[str, int]:
    return {population.name: population.size for population in network.populations}


def _full_sizes(experiment: Experiment, network: Network) -> dict[str, int]:
    """Sizes on the full sheet; for a brain model that does not know one, as built."""
    full: Any = getattr(experiment.brain_module, "full_network", None)
    return _sizes(full(**experiment.brain_parameters) if full else network)


def _transfer_problems(experiment: Experiment, devices: Devices) -> list[str]:
    readout, stimulus = np.zeros(len(devices.sinks)), np.zeros(len(devices.sources))
    known = ports(experiment, devices, experiment.body.make_ports(), readout, stimulus)
    return transfer.check(experiment.folder / "transfer.py", known)
