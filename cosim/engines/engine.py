# SPDX-License-Identifier: GPL-2.0-or-later
"""What loop and recorder need of a brain. ``cosim.build`` chooses the engine; the others know no more than this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from cosim.engines.built import BuiltBrain

NODE_IDS = "node_ids"
"""What `SteppedBrain.parameters` tells besides the parameters."""


class JournalSpikes(NamedTuple):
    """Spikes of this rank that were collected: views that are valid until the next ``collect``."""

    times_ms: np.ndarray
    """(n,) float64."""
    node_ids: np.ndarray
    """(n,) int64."""
    done: np.ndarray
    """(k,) int64: spikes since the journal was opened, at each of the last k calls of ``collect``."""


class KeptWeights(Protocol):
    """All weights of the synapses of a projection on this rank, which a sink keeps for the record."""

    name: str
    """Of the sink."""
    attributes: Mapping[str, Any]
    """``source`` and ``target``, names of populations, and ``every``, the steps between two times."""
    source_ids: np.ndarray
    """(n,) int64, numbers in the population, from 0."""
    target_ids: np.ndarray
    """(n,) int64."""

    def taken(self) -> np.ndarray:
        """Weights since the last `forget`, (k n,) of k times; the first is the start of the run. A view."""

    def forget(self) -> None:
        """Drop them."""


class SteppedBrain(Protocol):
    """A brain that stands with its devices and is advanced by coupling steps; a part of it on each brain rank.

    All brain ranks call its methods alike. What fails inside the engine raises on the rank where it fails.
    """

    @property
    def built(self) -> BuiltBrain:
        """What this rank has built."""

    def stimulate(self, stimulus: np.ndarray) -> None:
        """Set the values of all sources, (stimulus size,) each in its unit; they act from now on."""

    def run(self) -> None:
        """Advance by one coupling step. Collective over the brain ranks."""

    def run_ahead(self) -> None:
        """Begin the next coupling step with what no stimulus changes, or do nothing; `run` does the rest of it.

        Sinks and spikes are read before.
        """

    def read(self, readout: np.ndarray) -> None:
        """Write the values of the sinks on this rank into ``readout``, (readout size,) each in its unit.

        What other ranks own is left as it is.
        """

    def collect(self) -> int:
        """Take over the spikes since the last call; returns how many wait for `forget_spikes`."""

    def spikes(self) -> JournalSpikes:
        """Spikes of this rank, in ms, that were collected since the last `forget_spikes`; views, not copies."""

    def forget_spikes(self) -> None:
        """Drop what was collected."""

    def set_parameters(self, population: str, values: Mapping[str, float]) -> None:
        """Set parameters of all neurons of a population, or of a part such as ``E[0:10]``; they act from the next step.

        This and what follows are called between two steps, never after `run_ahead`. Collective over the brain ranks.

        Raises:
            BrainError: in one line, on all ranks; nothing has changed then.
        """

    def parameters(self, population: str, names: Sequence[str]) -> dict[str, np.ndarray]:
        """What the neurons of a population have that are on this rank, by name, and their ``node_ids``.

        Raises:
            BrainError: in one line.
        """

    def scale_weights(self, source: str, target: str, factor: float) -> int:
        """Multiply the weights of all synapses from one population onto another, or of parts of them.

        Returns how many of them are on this rank. A source or a sink counts where it is named. Collective over the
        brain ranks.

        Raises:
            BrainError: in one line, on all ranks; nothing has changed then.
        """

    def undo(self) -> None:
        """Take back the last `set_parameters` or `scale_weights` on this rank; nothing if it was refused."""

    def check_reset(self) -> None:
        """Raise BrainError, in one line and on all ranks, where `reset` cannot be done; nothing changes."""

    def reset(self, steps_done: int) -> None:
        """Build the whole brain anew in place; spikes have times of the run, of which ``steps_done`` steps are done.

        Collective over the brain ranks. Where it fails there is no brain any more.
        """

    @property
    def kept_weights(self) -> Sequence[KeptWeights]:
        """What sinks of weights keep for the record on this rank, the same sinks on all ranks."""

    def close(self) -> None:
        """Leave the stepping. Collective over the brain ranks."""
