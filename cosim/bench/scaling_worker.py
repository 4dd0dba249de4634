# SPDX-License-Identifier: GPL-2.0-or-later
"""Worker of ``cosim bench scaling``: a run of an experiment as ``run.py`` makes it, and what it cost."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np

from cosim.bench.energy import Meter
from cosim.errors import EXIT_COMPLETE
from cosim.experiment.options import Options
from cosim.parallel.mpi import MPI
from cosim.parallel.world import World
from cosim.program import run
from cosim.record.profile import STEP_PHASES, run_times
from cosim.results.run_data import RunData


def measure(world: World, request: dict[str, Any]) -> dict[str, Any] | None:
    """Run the experiment once; returns its costs on the body rank. Collective over all ranks.

    Raises:
        ConfigurationError: on all ranks.
        RuntimeError: the run stopped before its end.
    """
    first_of_machine = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED).rank == 0
    meter = Meter() if first_of_machine else None
    folder = Path(request["folder"]) / "run"
    code = run(world, Options(request["experiment"], tuple(request["overrides"]), str(folder)), [])
    if code != EXIT_COMPLETE:
        raise RuntimeError(f"the run ended with exit code {code}")
    energy_j = world.to_body(meter.joules() if meter else 0.0)
    hosts = world.to_body(platform.node())
    min_delay_ms = world.from_brains(None if world.is_body else smallest_delay_ms())
    if not world.is_body:
        return None
    summary = json.loads((folder / "summary.json").read_text())
    return {
        "hosts": hosts,
        "energy_j": None if None in energy_j else sum(energy_j),
        "memory_mb": summary["peak_memory_mb"],
        "wall_s": summary["wall_s"],
        **{name: summary[name] for name in ("real_time_factor", "real_time_factor_of_paper", "coupling_fraction")},
        "coupling_step_s": RunData(folder).config["clock"]["coupling_step_ms"] / 1000,
        "totals": summary["built"]["totals"],
        "spikes": summary["spikes"],
        "min_delay_ms": min_delay_ms[0],
        "profile": step_profile(RunData(folder).profile),
    }


def smallest_delay_ms() -> float:
    """Of the network that stands in NEST. Collective over the brain ranks."""
    import nest

    return nest.min_delay


def step_profile(profile: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Seconds by step, of the longest rank each; transfer is what is neither brain nor body, as in the paper.

    ``profile`` is (ranks, steps) by phase. Brain is ``Run`` and reading the sinks, the paper's brain_refresh.
    """
    phases = np.stack([profile[name] for name in STEP_PHASES], axis=2)
    step_s = phases.sum(axis=2)[1:].max(axis=0)
    run_s = run_times(phases)[1:]
    brain_s = (run_s + profile["read"][1:]).max(axis=0)
    body_s = profile["body"][0]
    return {
        "step_s": step_s.tolist(),
        "brain_step_s": brain_s.tolist(),
        "body_step_s": body_s.tolist(),
        "transfer_s": (step_s - np.maximum(brain_s, body_s)).tolist(),
        "run_s": run_s.max(axis=0).tolist(),
    }
