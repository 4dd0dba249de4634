# SPDX-License-Identifier: GPL-2.0-or-later
"""Worker of ``cosim bench record``: neurons at given rates, recorded or not, in our loop.

The neurons are parrots, which repeat what a Poisson generator sends each of them: there is no network to
simulate.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from cosim.bench.coupling_worker import Stage, advance_in_loop, close_logs, place, set_up, step_times, turns
from cosim.experiment.options import Options
from cosim.modes.normal import NormalRun
from cosim.parallel.world import World
from cosim.plan import Prepared, prepare
from cosim.record.merge import merge_profiles, merge_spikes

STEP_MS = 20.0
SCRIPT = """import nest
generator = nest.Create("poisson_generator", params={{"rate": {rate_hz}}})
parrots = nest.Create("parrot_neuron", {neurons})
nest.Connect(generator, parrots)
"""
EXPERIMENT = """title = "Parrots at {rate_hz} Hz"
[clock]
coupling_step_ms = {step_ms}
steps = {steps}
[brain]
script = "parrots.py"
virtual_processes = {virtual_processes}
[record]
spikes = "{recorded}"
"""


def measure(world: World, request: dict[str, Any]) -> list[dict[str, Any]] | None:
    """All kinds of blocks by turns; returns them on the body rank. Collective over all ranks."""
    low_hz, high_hz = request["rates_hz"]
    kinds = [(low_hz, True), (high_hz, True), (high_hz, False)]
    prepared = world.on_body(lambda: {kind: _prepare(world, request, *kind) for kind in kinds})
    plans = world.share({kind: each.plan for kind, each in prepared.items()} if world.is_body else None)
    blocks = []
    for number, (repetition, kind) in enumerate(turns([[kind] for kind in kinds], request["repetitions"])):
        plan = place(world, plans[kind], repetition, number)
        stage = set_up(world, plan, prepared, kind)
        seen = run_block(stage)
        if seen is not None:
            blocks.append({"repetition": repetition, "rate_hz": kind[0], "recorded": kind[1], **seen})
            shutil.rmtree(plan.folder.path)
    return blocks[1:] if world.is_body else None


def _prepare(world: World, request: dict[str, Any], rate_hz: float, recorded: bool) -> Prepared:
    """Write the experiment and check it. Body rank."""
    name = f"{rate_hz:g}-{'recorded' if recorded else 'silent'}"
    folder = Path(request["folder"]) / name
    folder.mkdir()
    (folder / "parrots.py").write_text(SCRIPT.format(rate_hz=rate_hz, neurons=request["neurons"]))
    values = {"rate_hz": rate_hz, "step_ms": STEP_MS, "steps": request["steps"]}
    values |= {"virtual_processes": request["virtual_processes"], "recorded": "parrots" if recorded else ""}
    (folder / "experiment.toml").write_text(EXPERIMENT.format(**values))
    return prepare(NormalRun(Options(str(folder), (), str(folder / "out"))), world.brain_ranks, world.machines)


def run_block(stage: Stage) -> dict[str, Any] | None:
    """The loop on what stands; returns times and sizes on the body rank. Collective over all ranks."""
    advance_in_loop(stage, STEP_MS)
    for part in (stage.parts.progress, stage.parts.brain, stage.parts.body):
        part.close()
    stage.world.synchronise()
    if not stage.world.is_body:
        return None
    close_logs()
    return read_block(stage)


def read_block(stage: Stage) -> dict[str, Any]:
    """Times per step, the time to merge and the sizes of files of a block. Body rank."""
    folder = stage.plan.folder
    shards = folder.shards(stage.world.comm.size)
    shard_bytes = sum(shard.stat().st_size for shard in shards[1:])
    began = time.perf_counter()
    counts = merge_spikes(shards[1:], stage.built[0].populations, folder.spike_file)
    merge_s = time.perf_counter() - began
    times = step_times(merge_profiles(folder.run_file, shards, stage.plan.clock.steps, {}))
    return {
        "spikes": sum(counts.values()),
        "record_us": times["record_us"],
        "run_us": times["run_us"],
        "merge_s": merge_s,
        "shard_bytes": shard_bytes,
        "merged_bytes": folder.spike_file.stat().st_size,
    }
