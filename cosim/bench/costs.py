# SPDX-License-Identifier: GPL-2.0-or-later
"""A model of what a run costs, as sums of terms that are linear in a few machine constants.

The terms are those of NEST's own phase timers: every time step updates the neurons of a virtual process,
every synaptic event is delivered on one, every spike is looked at on each rank, and once every smallest delay
the ranks exchange their spikes. Coupling comes once every coupling step. Building is by neurons and synapses
of a virtual process. Constants are fitted to measured runs, none below 0, so that relative errors are small.

Exchange between machines is not told apart from that between ranks of one machine, and caches and memory
bandwidth not at all: far beyond the sizes of the fitted runs this is an extrapolation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log2

import numpy as np
from scipy.optimize import nnls


@dataclass(frozen=True)
class Load:
    """What is run, and on what. ``rate_hz`` is the mean rate of a neuron."""

    neurons: int
    synapses: float
    rate_hz: float
    ranks: int
    threads: int
    step_ms: float
    resolution_ms: float
    min_delay_ms: float

    @property
    def processes(self) -> int:
        """NEST's virtual processes."""
        return self.ranks * self.threads

    @property
    def spikes(self) -> float:
        """Spikes of all neurons in a coupling step."""
        return self.neurons * self.rate_hz * self.step_ms / 1000


Term = Callable[[Load], float]
QUANTITIES: dict[str, dict[str, Term]] = {
    "run_s": {
        "update": lambda load: load.neurons / load.processes * load.step_ms / load.resolution_ms,
        "delivery": lambda load: load.spikes * load.synapses / load.neurons / load.processes,
        "receipt": lambda load: load.spikes,
        "round": lambda load: load.step_ms / load.min_delay_ms,
        "communication": lambda load: load.step_ms / load.min_delay_ms * log2(load.ranks),
    },
    "coupling_s": {"step": lambda _: 1.0, "communication": lambda load: log2(1 + load.ranks)},
    "build_s": {
        "start": lambda _: 1.0,
        "neurons": lambda load: load.neurons / load.processes,
        "synapses": lambda load: load.synapses / load.processes,
    },
    "prepare_s": {"start": lambda _: 1.0, "synapses": lambda load: load.synapses / load.processes},
}
"""Terms of each quantity: of ``Run`` and coupling in a step, and of building; constants are s per term."""

Constants = dict[str, dict[str, float]]


def fit(loads: Sequence[Load], measured: Mapping[str, Sequence[float]]) -> Constants:
    """The constants with the smallest relative errors; ``measured`` has each quantity of each load."""
    return {name: _fit_one(QUANTITIES[name], loads, measured[name]) for name in QUANTITIES}


def _fit_one(terms: Mapping[str, Term], loads: Sequence[Load], seconds: Sequence[float]) -> dict[str, float]:
    table = np.array([[term(load) for term in terms.values()] for load in loads]) / np.array(seconds)[:, None]
    scale = np.abs(table).max(axis=0)
    scale[scale == 0] = 1.0  # a term that no run has
    constants, _ = nnls(table / scale, np.ones(len(loads)))
    return dict(zip(terms, (constants / scale).tolist(), strict=True))


def predict(constants: Constants, load: Load) -> dict[str, float]:
    """Every quantity and a step in s, and the real-time factor of such steps; the body is taken to be fast enough.

    Fitted are steps after the first one, so that the factor is what a run calls ``real_time_factor_of_paper``.
    """
    seconds = {
        name: sum(constants[name][term] * of(load) for term, of in terms.items()) for name, terms in QUANTITIES.items()
    }
    step_s = seconds["run_s"] + seconds["coupling_s"]
    return seconds | {"step_s": step_s, "real_time_factor_of_paper": load.step_ms / 1000 / step_s}


def fit_errors(loads: Sequence[Load], measured: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Relative errors of predicting each run from a fit to all others: median and largest, by quantity."""
    errors: dict[str, list[float]] = {name: [] for name in QUANTITIES}
    for left_out, load in enumerate(loads):
        others = [index for index in range(len(loads)) if index != left_out]
        chosen = {name: [values[index] for index in others] for name, values in measured.items()}
        predicted = predict(fit([loads[index] for index in others], chosen), load)
        for name in QUANTITIES:
            errors[name].append(abs(predicted[name] / measured[name][left_out] - 1))
    return {name: {"median": float(np.median(values)), "max": float(max(values))} for name, values in errors.items()}
