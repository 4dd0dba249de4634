# SPDX-License-Identifier: GPL-2.0-or-later
"""From what a user typed to a plan that all ranks follow. Body rank only; nothing here imports NEST or PyBullet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from cosim import transfer
from cosim.body import kinds
from cosim.devices.devices import Devices, SpikeLists, make_ports
from cosim.devices.resolve import resolve, suppose
from cosim.engines.nest import connection_limits, kernel, memory, script
from cosim.engines.nest.rules import registry
from cosim.errors import ConfigurationError
from cosim.experiment.brains import TableBrain
from cosim.experiment.config import Clock, Experiment
from cosim.modes.normal import NormalRun
from cosim.network.network import Network
from cosim.parallel.machine import Machine
from cosim.record.folder import RunFolder


@dataclass(frozen=True)
class Plan:
    """What every rank has to know; small, and broadcast once.

    ``brain`` are network tables or the path of a script. Of a script it is not known before it has run which
    populations devices find: ``devices`` is None then, and settled by ``settle_devices`` when the network stands.
    """

    clock: Clock
    seed: int
    virtual_processes: int
    wiring: str
    brain: Network | Path
    devices: Devices | None
    folder: RunFolder
    mode: NormalRun


@dataclass(frozen=True)
class Prepared:
    """A plan and what only the body rank needs besides."""

    plan: Plan
    experiment: Experiment
    warnings: tuple[str, ...] = ()
    """For the log."""


def prepare(mode: NormalRun, brain_ranks: int, machines: Sequence[Machine]) -> Prepared:
    """Load the experiment, check everything that can be checked before NEST starts, and make the results folder.

    ``mode`` says whether the run goes by itself or along a recorded one; ``machines`` are those that the ranks are on.

    Raises:
        ConfigurationError: all problems together.
    """
    experiment = mode.load()
    config = experiment.config
    problems: list[str] = []
    warnings: list[str] = []
    devices = None
    with _collect(problems):
        kernel.check(brain_ranks, config.brain.virtual_processes)
    with _collect(problems, f"{experiment.folder / 'experiment.toml'}: "):
        brain = brain_of(experiment)
        devices = _devices(experiment, brain.sizes, brain.receptors) if isinstance(brain, Network) else None
        wanted = transfer.wanted_ports(experiment.transfer_module)
        supposed = devices or suppose(config.devices, kinds.make_ports(experiment.body), wanted)
    _raise_any(problems)
    if devices or config.devices.has_fixed_sizes:  # else transfer functions are tried when the script has run
        problems += _transfer_problems(experiment, supposed)
    if devices is not None and isinstance(brain, Network):
        with _collect(problems):
            registry.check(brain)
        with _collect(problems):
            connection_limits.check(brain, devices, config.brain.virtual_processes, brain_ranks)
        with _collect(problems):
            warnings += memory.check(experiment, brain, devices, brain_ranks, machines, mode.options.force)
    _raise_any(problems)
    folder = mode.make_folder(experiment)
    processes, wiring = config.brain.virtual_processes, config.brain.wiring
    plan = Plan(config.clock, config.seed, processes, wiring, brain, devices, folder, mode)
    return Prepared(plan, experiment, tuple(warnings))


def brain_of(experiment: Experiment) -> Network | Path:
    """The checked tables of a model, or the path of a script that at least compiles.

    Raises:
        ValueError: tables with problems, all of them.
        ConfigurationError: a script that is none.
    """
    if isinstance(experiment.brain, TableBrain):
        return experiment.network()
    script.check(experiment.brain.path)
    return experiment.brain.path


def settle_devices(prepared: Prepared, sizes: Mapping[str, int]) -> Devices:
    """`resolve_devices` for a run whose network stands; if they are refused, its folder goes away again.

    Raises:
        ConfigurationError: as `resolve_devices`.
    """
    try:
        return resolve_devices(prepared.experiment, sizes)
    except ConfigurationError:
        prepared.plan.folder.remove()
        raise


def resolve_devices(
    experiment: Experiment, sizes: Mapping[str, int], receptors: Mapping[str, range] = MappingProxyType({})
) -> Devices:
    """The devices of an experiment on populations with so many neurons and, where that is known, these receptors.

    Raises:
        ConfigurationError: all problems together, those of the transfer functions included.
    """
    problems: list[str] = []
    devices = None
    with _collect(problems, f"{experiment.folder / 'experiment.toml'}: "):
        devices = _devices(experiment, sizes, receptors)
    _raise_any(problems)
    _raise_any(_transfer_problems(experiment, devices))
    return devices


def ports(
    experiment: Experiment,
    devices: Devices,
    of_body: Mapping[str, object],
    readout: np.ndarray,
    stimulus: np.ndarray,
    lists: SpikeLists | None = None,
) -> dict[str, object]:
    """Everything that transfer functions may ask for, by name, except the clock."""
    protocol = experiment.config.protocol.model_copy()  # steering changes it in one run alone
    return {**make_ports(devices, readout, stimulus, lists), **of_body, "protocol": protocol}


def spare_ports(experiment: Experiment, devices: Devices) -> dict[str, object]:
    """Ports of the same names and shapes that stand alone, for rehearsals."""
    readout, stimulus = np.zeros(devices.readout_size), np.zeros(devices.stimulus_size)
    return ports(experiment, devices, kinds.make_ports(experiment.body), readout, stimulus)


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


def _devices(experiment: Experiment, sizes: Mapping[str, int], receptors: Mapping[str, range]) -> Devices:
    full_sizes = experiment.brain.full_sizes(experiment.brain_parameters)
    return resolve(experiment.config.devices, sizes, full_sizes, kinds.make_ports(experiment.body), receptors)


def _transfer_problems(experiment: Experiment, devices: Devices) -> list[str]:
    file = getattr(experiment.transfer_module, "__file__", None)
    known, step_ms = spare_ports(experiment, devices), experiment.config.clock.coupling_step_ms
    return transfer.check(Path(file), known, step_ms) if file else []
