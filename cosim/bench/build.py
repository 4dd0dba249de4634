# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim bench build``: how long a network takes to be built, with nestlink's synapses or with NEST's.

Both draw the same tables (``brain.wiring``); what has no rule in NEST is drawn by nestlink on both sides.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from cosim.bench import launch, machine
from cosim.bench.build_worker import WIRINGS
from cosim.bench.output import make_folder, publish
from cosim.bench.split import Split, split
from cosim.bench.spread import spread, text
from cosim.errors import ConfigurationError
from cosim.experiment.brains import TableBrain
from cosim.experiment.config import load

COLUMNS = ("phase (s)", *WIRINGS)


def main(options: argparse.Namespace) -> int:
    """Measure, write, print; returns the exit code.

    Raises:
        ConfigurationError: arguments that do not fit together, or a brain that is a script.
        WorkerFailed: the MPI job did not end well.
    """
    here = machine.describe()
    ranks = split(options)
    if not isinstance(load(options.experiment, ranks.overrides).brain, TableBrain):
        raise ConfigurationError(
            f"{options.experiment}: its brain is a script; must be a model that has network tables"
        )
    request = {
        "experiment": options.experiment,
        "overrides": ranks.overrides,
        "repetitions": options.repetitions,
    }
    request["out"] = str(make_folder(options.out))
    buildings = launch.work("build", request, 1 + ranks.ranks, ranks.threads)
    result = summarize(options, ranks, buildings)
    return publish(options, here, result, COLUMNS, rows(result), draw)


def summarize(options: argparse.Namespace, ranks: Split, buildings: list[dict[str, Any]]) -> dict[str, Any]:
    """The content of the JSON file; the speed-up is the median over repetitions of the ratio within each."""
    of = {name: [each for each in buildings if each["wiring"] == name] for name in WIRINGS}
    phases = {name: _phases(each) for name, each in of.items()}
    ratios = [
        nests["seconds"]["connect"] / own["seconds"]["connect"]
        for own, nests in zip(of["nestlink"], of["nest"], strict=True)
    ]
    return {
        **ranks.told(options),
        "speedup_connect": spread(ratios)["median"],
        "speedup_connect_spread": spread(ratios),
        "connect_s": {name: each["connect"] for name, each in phases.items()},
        "synapses": {name: each[0]["synapses"] for name, each in of.items()},
        "synapses_per_s": {name: of[name][0]["synapses"] / phases[name]["connect"]["median"] for name in WIRINGS},
        "phases_s": phases,
    }


def _phases(buildings: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    return {name: spread([each["seconds"][name] for each in buildings]) for name in buildings[0]["seconds"]}


def rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """One for each phase, then the synapses."""
    phases = result["phases_s"]
    for name in phases[WIRINGS[0]]:
        yield name, *(text(phases[wiring][name]) for wiring in WIRINGS)
    yield "synapses", *(f"{result['synapses'][wiring]:,}" for wiring in WIRINGS)
    yield "synapses a second", *(f"{result['synapses_per_s'][wiring]:,.0f}" for wiring in WIRINGS)


def draw(result: dict[str, Any]) -> Figure:
    """Phases on top of each other, for both ways to draw synapses."""
    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    for place, wiring in enumerate(WIRINGS):
        bottom = 0.0
        for number, (name, seconds) in enumerate(result["phases_s"][wiring].items()):
            label = name if place == 0 else None
            axis.bar(place, seconds["median"], 0.6, bottom, color=f"C{number}", label=label)
            bottom += seconds["median"]
    axis.set_xticks(range(len(WIRINGS)), [f"{wiring}\n{result['synapses'][wiring]:,} synapses" for wiring in WIRINGS])
    axis.set_ylabel("wall time (s)")
    axis.set_title(f"{result['experiment']}, {result['brain_ranks']} x {result['threads_per_brain_rank']}", fontsize=10)
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
