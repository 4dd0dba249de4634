# SPDX-License-Identifier: GPL-2.0-or-later
"""Worker of ``cosim bench body``: bodies and a bare engine stepped in turns, or one body made from scratch.

The muscles follow the base excitation of the protocol of Feldotto et al. 2022 all the time, in physics steps
of 1 ms and coupling steps of 20 ms. Every block starts from the body at rest. The bare engine moves the same
mechanism, without torques and without anything of ours around it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from cosim.body.engines import registry
from cosim.body.musculoskeletal.body import MusculoskeletalBody
from cosim.body.musculoskeletal.description import MusculoskeletalDescription
from cosim.experiment.config import Experiment, load

EXPERIMENT = "mouse_m1"
PHYSICS_MS, COUPLING_MS = 1.0, 20.0
Tendon = Literal["rigid", "elastic"]
TENDONS: tuple[Tendon, ...] = ("rigid", "elastic")
BARE = "bare_engine"


def step_times(engine: str, simulate_ms: float, repetitions: int) -> dict[str, list[float]]:
    """Wall time of a physics step in us, for each kind one number a repetition; the kinds take turns."""
    bare = registry.start(engine, load_body(load(EXPERIMENT, []))).bare_step(PHYSICS_MS / 1000)
    blocks: dict[str, Callable[[], object]] = {tendon: body_block(tendon, engine, simulate_ms) for tendon in TENDONS}
    steps = round(simulate_ms / PHYSICS_MS)
    blocks[BARE] = lambda: [bare() for _ in range(steps)]
    times_us: dict[str, list[float]] = {name: [] for name in blocks}
    for repetition in range(-1, repetitions):  # the one before the first is not counted
        names = list(blocks)
        shift = repetition % len(names)
        for name in names[shift:] + names[:shift]:
            began = time.perf_counter()
            blocks[name]()
            if repetition >= 0:
                times_us[name].append((time.perf_counter() - began) / steps * 1e6)
    return times_us


def load_body(experiment: Experiment) -> MusculoskeletalDescription:
    """The body of the mouse."""
    assert isinstance(experiment.body, MusculoskeletalDescription)
    return experiment.body


def body_block(tendon: Tendon, engine: str, simulate_ms: float) -> Callable[[], None]:
    """A body at work for so long, from rest."""
    experiment = load(EXPERIMENT, [])
    body = MusculoskeletalBody(load_body(experiment), PHYSICS_MS, COUPLING_MS, tendon=tendon, engine=engine)

    def block() -> None:
        body.reset()
        body.muscles.excitation = experiment.transfer_module.BASE_EXCITATION
        for _ in range(round(simulate_ms / COUPLING_MS)):
            body.advance()

    return block


def main(file: str) -> None:
    """Do what the request asks for: with ``tendon`` one coupling step of a fresh body, else step times."""
    request = json.loads(Path(file).read_text())
    if "tendon" in request:
        result = body_block(request["tendon"], request["engine"], COUPLING_MS)()
    else:
        result = step_times(request["engine"], request["simulate_ms"], request["repetitions"])
    Path(request["result"]).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
