# SPDX-License-Identifier: GPL-2.0-or-later
"""What may be changed of a brain between two of its steps: parameters of neurons, weights of projections.

All methods but `Changes.parameters` and `Changes.undo` are called on all brain ranks alike, with equal arguments, and
never after `Stepper.run_ahead`. A change that one rank refuses is refused on all, and nothing has changed then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from cosim.engines.engine import NODE_IDS
from cosim.engines.nest.kernel import Kernel
from cosim.engines.nest.nestlink import NestlinkError
from cosim.errors import BrainError, nearest
from cosim.network.address import Address

NodeCollection = Any  # NEST's type
Answer = TypeVar("Answer")


def _nothing() -> None:
    """Take back what changed nothing."""


class Changes:
    """Changes of ``populations``, NodeCollections by name, and of the synapses from or onto ``devices``.

    ``devices`` are node ids by name; a population of the same name comes first.
    """

    def __init__(
        self, kernel: Kernel, populations: Mapping[str, NodeCollection], devices: Mapping[str, Sequence[int]]
    ) -> None:
        self._link, self._ranks = kernel.link, kernel.ranks
        self._populations, self._devices = populations, devices
        self._take_back: Callable[[], None] = _nothing

    def set_parameters(self, population: str, values: Mapping[str, float]) -> None:
        """Set parameters of all neurons of a population, or of a part such as ``E[0:10]``; they act from now on.

        Raises:
            BrainError: no such population or parameter, no finite number, or what NEST says against it.
        """
        self._take_back = self._forget()
        node_ids, names = self._neurons(population), list(values)
        self._check(population, node_ids, values)
        own = self._link.own(node_ids)
        table = np.repeat([[float(values[name])] for name in names], len(own), axis=1)
        said = f"{population}: {', '.join(f'{name} = {value}' for name, value in values.items())}"
        self._on_all(said, lambda: self._link.check_parameters(own, names, table))
        before = self._link.parameters(own, names)
        self._set(own, names, table)
        self._take_back = partial(self._set, own, names, before)

    def parameters(self, population: str, names: Sequence[str]) -> dict[str, np.ndarray]:
        """What the neurons of a population have that are on this rank, by name, and their ``node_ids``.

        Raises:
            BrainError: no such population, or no such number.
        """
        own = self._link.own(self._neurons(population))
        try:
            values = self._link.parameters(own, names)
        except NestlinkError as error:
            raise BrainError(f"{population}: {_one_line(error)}") from None
        return {NODE_IDS: own, **dict(zip(names, values, strict=True))}

    def scale_weights(self, source: str, target: str, factor: float) -> int:
        """Multiply the weights of all synapses between two populations; returns how many are on this rank.

        Either may be a part such as ``E[0:10]``; ``source`` may be the name of a source, ``target`` that of a sink.
        Plastic synapses go on from their new weights.

        Raises:
            BrainError: no such population, a factor that is no finite number of 0 or more, no synapses, or synapses
                that have one weight in common.
        """
        self._take_back = self._forget()
        if not _is_finite(factor) or factor < 0:
            raise BrainError(f"{source} -> {target}: factor {factor!r}, must be a finite number, 0 or more")
        ends = self._ends(source), self._ends(target)
        self._take_back = self._link.undo_scaling
        try:
            scaled = self._on_all(f"{source} -> {target}", lambda: self._link.scale_weights(*ends, factor))
        except BrainError:
            self.undo()
            raise
        if not self._ranks.allreduce(scaled):
            raise BrainError(f"{source} -> {target}: there are no synapses")
        return scaled

    def undo(self) -> None:
        """Take back the last change on this rank, once; nothing if it was refused.

        Weights come back bit for bit. So do parameters, but for the potential of models that NEST keeps relative to
        ``E_L``: after a change of ``E_L`` it may differ in its last bit.
        """
        self._take_back()
        self._take_back = self._forget()

    def _forget(self) -> Callable[[], None]:
        self._link.forget_scaling()
        return _nothing

    def _set(self, node_ids: np.ndarray, names: Sequence[str], table: np.ndarray) -> None:
        self._link.set_parameters(node_ids, names, table)
        self._link.pre_run_hook(node_ids)

    def _check(self, population: str, node_ids: np.ndarray, values: Mapping[str, float]) -> None:
        """Refuse what all ranks know to be wrong."""
        settable = self._link.settable(node_ids)
        for name, value in values.items():
            if name not in settable:
                raise BrainError(f"{population}: no parameter {name!r}: {nearest(name, settable)}")
            if not _is_finite(value):
                raise BrainError(f"{population}: {name} = {value!r}: must be a finite number")
        if not values:
            raise BrainError(f"{population}: no parameters to set: {nearest('', settable)}")

    def _on_all(self, what: str, act: Callable[[], Answer]) -> Answer:
        """Call ``act`` on all ranks; what one of them says against it is raised on all. Collective."""
        answer, said = None, None
        try:
            answer = act()
        except NestlinkError as error:
            said = _one_line(error)
        refusals = [each for each in self._ranks.allgather(said) if each]
        if refusals:
            raise BrainError(f"{what}: {refusals[0]}")
        return answer  # type: ignore[return-value]  # without a refusal it is what `act` returned

    def _ends(self, name: str) -> np.ndarray:
        """Node ids, (n,), of a population, a part of it, or a device."""
        if name in self._devices and name not in self._populations:
            return np.array(self._devices[name], dtype=np.int64)
        return self._neurons(name, self._devices)

    def _neurons(self, population: str, others: Mapping[str, Any] = {}) -> np.ndarray:
        """Node ids, (n,), of a population or a part of it; ``others`` are names that are allowed, too."""
        try:
            address = Address.parse(population)
        except ValueError as error:
            raise BrainError(str(error)) from None
        if address.pattern not in self._populations:
            raise BrainError(f"no population {population!r}: {nearest(population, {*self._populations, *others})}")
        nodes = self._populations[address.pattern]
        if not address.size(len(nodes)):
            raise BrainError(f"{population!r}: no neurons, {address.pattern} has {len(nodes)}")
        return np.ascontiguousarray(_ids(nodes)[address.part])


def _ids(nodes: NodeCollection) -> np.ndarray:
    first, last = nodes[0].global_id, nodes[-1].global_id
    if last - first + 1 == len(nodes):
        return np.arange(first, last + 1)
    return np.array(nodes.tolist(), dtype=np.int64)


def _is_finite(value: object) -> bool:
    try:
        return isinstance(value, Real) and math.isfinite(value)
    except OverflowError:  # a whole number that is too large
        return False


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
