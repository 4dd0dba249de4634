# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim bench rest``: coupling by REST calls to NEST Server against ours, on the same network and ranks.

The client of Feldotto et al. 2022 read every sink and set every source by a call of its own and simulated by
one more. In NEST 3.10 the server's route GetStatus fails by an argument that was renamed, so sinks are read
through its exec route. The best that a client can do is one exec call for everything: "batched". A new rate
acts from the next ``Prepare`` on, so both end their step with ``Cleanup`` as ``Simulate`` does; "run only"
leaves that out, and new rates have no effect. The cost of a step is the client's wall time less the time of
the slowest rank within ``Run``. No spikes are read, while our side writes all of them to disk.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from cosim.bench import launch, machine, nest_server
from cosim.bench.nest_server import Server
from cosim.bench.output import draw_bars, make_folder, publish
from cosim.bench.split import Split, split
from cosim.bench.spread import spread, text
from cosim.errors import ConfigurationError
from cosim.experiment.config import load

WARM_UP_MS = 60.0
KINDS = {
    "per_device_calls": "REST, one call per device",
    "batched": "REST, one call for all",
    "batched_run_only": "REST, one call for all, Run only",
    "cosim": "cosim",
}
COLUMNS = ("coupling", "us per step", "cosim is so many times as fast")

Step = Callable[[Server, dict[str, list[int]], float], float]


def main(options: argparse.Namespace) -> int:
    """Measure, write, print; returns the exit code.

    Raises:
        ConfigurationError: arguments that do not fit together, or what the server needs is missing.
        ServerError: the server does not start, or refuses a call.
        WorkerFailed: an MPI job of ours did not end well.
    """
    here = machine.describe()
    if options.steps < 1:
        raise ConfigurationError(f"--steps {options.steps}: must be 1 or more")
    nest_server.check()
    ranks = split(options)
    out = make_folder(options.out)
    step_ms = load(options.experiment, ranks.overrides).config.clock.coupling_step_ms
    costs_us: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(options.repetitions):
        for kind, cost_us in rest_costs_us(options, ranks, step_ms).items():
            costs_us[kind].append(cost_us)
        costs_us["cosim"].append(our_cost_us(options, ranks, step_ms, out))
    result = summarize(options, ranks, step_ms, costs_us)
    return publish(options, here, result, COLUMNS, rows(result), draw)


def our_cost_us(options: argparse.Namespace, ranks: Split, step_ms: float, out: Path) -> float:
    """Median over steps of the time on the brain ranks outside ``Run``."""
    request = {
        "experiment": options.experiment,
        "overrides": ranks.overrides,
        "repetitions": 1,
        "out": str(out),
    }
    times = {"steps_ms": [step_ms], "simulate_ms": options.steps * step_ms, "warm_up_ms": WARM_UP_MS}
    blocks = launch.work("coupling", request | times, 1 + ranks.ranks, ranks.threads)["blocks"]
    return next(each["coupling_us"] for each in blocks if each["in_loop"])


def rest_costs_us(options: argparse.Namespace, ranks: Split, step_ms: float) -> dict[str, float]:
    """Median over steps of the wall time outside ``Run``, for each way of calling, on a fresh server."""
    with nest_server.serving(ranks.ranks, ranks.threads) as served:
        ids = served.execute(f"value = served.build({options.experiment!r}, {ranks.overrides!r})")
        served.execute(f"value = served.simulate({WARM_UP_MS})")
        costs = {name: cost_us(step, served, ids, step_ms, options.steps) for name, step in STEPS.items()}
        served.execute("nest.Prepare(); value = 0")
        costs["batched_run_only"] = cost_us(step_run_only, served, ids, step_ms, options.steps)
    return costs


def cost_us(step: Step, served: Server, ids: dict[str, list[int]], step_ms: float, steps: int) -> float:
    """Median over steps of the client's time less what the step says it spent in ``Run``."""
    costs = []
    for _ in range(steps):
        began = time.perf_counter()
        run_s = step(served, ids, step_ms)
        costs.append((time.perf_counter() - began - run_s) * 1e6)
    return spread(costs)["median"]


def step_per_device(served: Server, ids: dict[str, list[int]], step_ms: float) -> float:
    """A step of the published client; returns the seconds in ``Run``."""
    for source in ids["sources"]:
        served.execute(f"value = served.set_rates([{source}], 0.0)")
    run_s = served.execute(f"value = served.simulate({step_ms})")
    for sink in ids["sinks"]:
        served.execute(f"value = served.voltages_mv([{sink}])")
    return run_s


def step_batched(served: Server, ids: dict[str, list[int]], step_ms: float, advance: str = "simulate") -> float:
    """A step in one call; returns the seconds in ``Run``."""
    sources, sinks = ids["sources"], ids["sinks"]
    set_rates = f"served.set_rates({sources}, 0.0)\n" if sources else ""
    read = f"value = [served.{advance}({step_ms}), served.voltages_mv({sinks})]"
    return served.execute(set_rates + read)[0]


def step_run_only(served: Server, ids: dict[str, list[int]], step_ms: float) -> float:
    """As `step_batched` between a ``Prepare`` and a ``Cleanup`` that come once."""
    return step_batched(served, ids, step_ms, "run")


STEPS: dict[str, Step] = {"per_device_calls": step_per_device, "batched": step_batched}


def summarize(
    options: argparse.Namespace, ranks: Split, step_ms: float, costs_us: dict[str, list[float]]
) -> dict[str, Any]:
    """The content of the JSON file; a speed-up is the median of the ratios within each repetition."""
    ours = costs_us["cosim"]
    speedups = {
        kind: spread([one / own for one, own in zip(costs_us[kind], ours, strict=True)])
        for kind in KINDS
        if kind != "cosim"
    }
    return {
        **ranks.told(options),
        "coupling_step_ms": step_ms,
        "steps": options.steps,
        **{f"speedup_{kind}": each["median"] for kind, each in speedups.items()},
        "coupling_us_per_step": {kind: spread(each) for kind, each in costs_us.items()},
        "speedups": speedups,
    }


def rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """One for each way of coupling."""
    for kind, what in KINDS.items():
        speedup = result["speedups"].get(kind)
        yield (
            what,
            text(result["coupling_us_per_step"][kind], ",.0f"),
            text(speedup, ",.0f") if speedup else "",
        )


def draw(result: dict[str, Any]) -> Figure:
    """Time of a step outside ``Run``, on a logarithmic axis."""
    figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
    draw_bars(axis, KINDS, result["coupling_us_per_step"])
    axis.set_xscale("log")
    axis.set_xlabel("time of a coupling step outside Run (us)")
    axis.set_title(f"{result['experiment']}, {result['brain_ranks']} brain ranks", fontsize=10)
    return figure
