# SPDX-License-Identifier: GPL-2.0-or-later
"""A run that was killed, as files, without running anything: what its ranks leave is written by cosim's own writers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cosim.engines.built import BuiltBrain, BuiltPopulation
from cosim.experiment.config import load
from cosim.record import built, populations
from cosim.record.built import BuiltRun, RankReport
from cosim.record.folder import RunFolder, make_folder
from cosim.record.names import PROFILE, SPIKE_IDS, SPIKE_TIMES, SPIKES_DONE
from cosim.record.provenance import attributes
from cosim.record.recorder import PROFILE_SERIES
from cosim.record.series import Series, SeriesFile

NETWORK = """
from cosim.network import Network, Population, Unplaced

def network():
    return Network((Population("NAME", "cortex", "iaf_psc_exp", {}, Unplaced(4)),))
"""
EXPERIMENT = """
[clock]
coupling_step_ms = 5.0
steps = 6
[brain]
model = "brain"
virtual_processes = 1
[[sinks]]
populations = "NAME"
weight_pa = 10.0
delay_ms = 1.0
[[sources]]
name = "drive"
population = "NAME"
weight = 1.0
delay_ms = 1.0
"""
TRANSFER = """
def summarize(run):
    return {"mine": 1}
"""


def make_experiment(folder: Path, population: str = "E") -> Path:
    """An experiment of four neurons in tables of its own, with a number that it adds to the summary."""
    (folder / "brain").mkdir(parents=True)
    for name, text in (("experiment.toml", EXPERIMENT), ("brain/network.py", NETWORK), ("transfer.py", TRANSFER)):
        (folder / name).write_text(text.replace("NAME", population))
    return folder


def make_run(path: Path, experiment: Path, steps: int = 3, columns: Sequence[str] = ("hip", "knee")) -> RunFolder:
    """What a body rank and one brain rank leave of `make_experiment` when they are killed after some steps.

    The body moves two joints, ``columns``, five times a step; the sink is at 1 mV and the source at 1 Hz.
    """
    loaded = load(str(experiment))
    folder = make_folder(experiment.name, str(path), path.parent)
    folder.config_file.write_text(loaded.config.to_toml())
    population = BuiltPopulation(loaded.config.sinks[0].populations, "cortex", first_id=1, size=4, recorded=4)
    populations.write(folder.populations_file, [population])
    brain = BuiltBrain((population,), {"cortex": 0}, {}, min_delay_ms=1.0, threads=1)
    built.write(folder.built_file, BuiltRun([brain], [RankReport({}, 100.0)] * 2))
    ends_ms = 5.0 * np.arange(1, steps + 1)
    profile = np.full((steps, *PROFILE_SERIES.shape), 1e-3)
    spikes = {SPIKE_TIMES: Series(), SPIKE_IDS: Series(dtype="i8"), SPIKES_DONE: Series(dtype="i8")}
    exchanged = {
        "exchange/readout": Series(columns=(population.name,)),
        "exchange/stimulus": Series(columns=("drive",)),
    }
    of_body = {"body/angle_rad": Series((2,), attributes={"columns": list(columns)}), "body/time_ms": Series()}
    _write(
        folder.run_file,
        {"exchange/time_ms": Series(), **exchanged, **of_body},
        [ends_ms, *[np.ones((steps, 1))] * 2, np.ones((5 * steps, 2)), np.arange(1.0, 5 * steps + 1)],
        attributes(loaded, 1),
    )
    _write(folder.shard(0), {PROFILE: PROFILE_SERIES}, [profile])
    one_a_step = [ends_ms, np.full(steps, 2), np.arange(1, steps + 1)]
    _write(folder.shard(1), spikes | {PROFILE: PROFILE_SERIES}, [*one_a_step, profile])
    return folder


def _write(path: Path, series: dict[str, Series], rows: list[np.ndarray], known: dict | None = None) -> None:
    file = SeriesFile(path, series, known)
    for name, values in zip(series, rows, strict=True):
        file.append(name, values)
    file.close()
