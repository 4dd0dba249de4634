# SPDX-License-Identifier: GPL-2.0-or-later
"""``summary.json``: the numbers of a run that are looked at first."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cosim.engines.built import BuiltBrain, BuiltPopulation
from cosim.record.profile import STEP_PHASES, run_times, unsteered

# The name of the folder in which a run began anew, where it did.
FOLLOWED_BY = "followed_by"

COUPLING_FRACTION = (
    "1 - (sum over steps of the longest Run of a brain rank) / (sum over steps of the longest step of a brain rank): "
    "the share of the loop's wall time that brain ranks spend neither in NEST's Run nor waiting for another's Run; "
    "what it does ahead of the next step counts as Run, and so does waiting in Run for a rank that began it later"
)


REAL_TIME_FACTOR = (
    "simulated time / wall time of all steps of the loop, the first one included, on the rank where they took longest; "
    "ranks step together, so that each of them says the same but for a part of a step. real_time_factor_of_paper "
    "leaves the first step out, as Feldotto et al. 2022 did, whose first step held the set-up that is a phase of its "
    "own here, prepare. What steering took, pauses above all, is no part of it"
)


def real_time_factor(profile: np.ndarray, step_ms: float, first: int = 0) -> float | None:
    """See ``REAL_TIME_FACTOR``; of the steps from number ``first`` on, None if there are none.

    ``profile`` is (ranks, steps, phases) in s.
    """
    steps = unsteered(profile)[:, first:]
    wall_s = float(steps.sum(axis=(1, 2)).max())
    return steps.shape[1] * step_ms / 1000 / wall_s if wall_s else None


def coupling_fraction(profile: np.ndarray) -> float | None:
    """See ``COUPLING_FRACTION``; ``profile`` is (ranks, steps, phases) in s, rank 0 is the body. None without steps."""
    brain = profile[1:]
    step_s = unsteered(brain).sum(axis=2).max(axis=0).sum()
    run_s = run_times(brain).max(axis=0).sum()
    return float(1 - run_s / step_s) if step_s else None


def built_regions(built: Sequence[BuiltBrain]) -> dict[str, dict[str, int]]:
    """Neurons and synapses by region as counted by NEST, summed over all brain ranks; devices are left out."""
    regions = {name: {"neurons": 0, "synapses": 0} for name in built[0].local_synapses}
    for population in built[0].populations:
        regions[population.region]["neurons"] += 0 if population.is_relay else population.size
    for rank in built:
        for region, synapses in rank.local_synapses.items():
            regions[region]["synapses"] += synapses
    return regions


def built_brain(built: Sequence[BuiltBrain], peak_memory_mb: Sequence[float]) -> dict[str, Any]:
    """What stood in NEST, counted over all brain ranks, in the form of ``cosim describe --json``.

    ``peak_memory_mb`` is of all ranks, the body rank included. Totals hold Poisson and relay links besides
    the synapses of the regions; links of the experiment's devices are apart.
    """
    regions = built_regions(built)
    kinds = ("poisson", "relay", "devices")
    links = {kind: sum(rank.local_links.get(kind, 0) for rank in built) for kind in kinds}
    neurons = sum(region["neurons"] for region in regions.values())
    synapses = sum(region["synapses"] for region in regions.values()) + links["poisson"] + links["relay"]
    return {
        "populations": [_entry(each, "neurons") for each in built[0].populations if not each.is_relay],
        "relays": [_entry(each, "nodes") for each in built[0].populations if each.is_relay],
        "regions": regions,
        "links": links,
        "totals": {"neurons": neurons, "synapses": synapses, "bytes": round(1e6 * sum(peak_memory_mb))},
    }


def connecting(built: Sequence[BuiltBrain], seconds: float) -> dict[str, float] | None:
    """How fast synapses were made in ``seconds``, by all brain ranks, and what they take; None for a script's.

    A core is a thread of a brain rank.
    """
    regions = built_regions(built)
    synapses = sum(region["synapses"] for region in regions.values()) + sum(
        rank.local_links.get("relay", 0) for rank in built
    )
    if not (synapses and seconds and sum(rank.connect_bytes for rank in built)):
        return None
    return {
        "seconds": seconds,
        "synapses_per_s": synapses / seconds,
        "synapses_per_s_and_core": synapses / seconds / len(built) / built[0].threads,
        "bytes_per_synapse": sum(rank.connect_bytes for rank in built) / synapses,
    }


def _entry(population: BuiltPopulation, size: str) -> dict[str, Any]:
    return {"name": population.name, "region": population.region, size: population.size}


def mean_rates_hz(spike_counts: Mapping[str, int], built: BuiltBrain, duration_s: float) -> dict[str, float]:
    """Mean rate of each recorded population over the run."""
    sizes = {each.name: each.recorded for each in built.populations}
    return {name: count / sizes[name] / duration_s for name, count in spike_counts.items() if duration_s}


def timing(profile: np.ndarray, step_ms: float) -> dict[str, Any]:
    """Real-time factor, coupling fraction and wall time of the loop by phase (longest rank)."""
    phases = {name: float(profile[:, :, i].sum(axis=1).max()) for i, name in enumerate(STEP_PHASES)}
    return {
        "real_time_factor": real_time_factor(profile, step_ms),
        "real_time_factor_of_paper": real_time_factor(profile, step_ms, first=1),
        "real_time_factor_is": REAL_TIME_FACTOR,
        "coupling_fraction": coupling_fraction(profile),
        "coupling_fraction_is": COUPLING_FRACTION,
        "loop_s": float(unsteered(profile).sum(axis=(1, 2)).max()),
        "loop_phases_s": phases,
    }


def to_json(summary: Mapping[str, Any]) -> str:
    """As JSON; numbers that are none, or have no end, become null. Raises TypeError for what JSON does not know."""
    return json.dumps(_plain(summary), indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """What is in numpy's types, or is no number, in JSON's."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
