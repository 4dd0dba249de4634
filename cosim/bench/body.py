# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim bench body``: what a physics step of the forelimb costs, beside the physics engine alone."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from cosim.bench import launch, machine
from cosim.bench.output import draw_bars, make_folder, publish
from cosim.bench.spread import spread, text
from cosim.body.engines import registry
from cosim.errors import ConfigurationError

WORKER = "cosim.bench.body_worker"
SIMULATE_MS = 2000.0
# As of the worker: rigid tendons are the default of a body.
KINDS = {"rigid": "body, rigid tendons", "elastic": "body, elastic tendons", "bare_engine": "bare engine"}
COLUMNS = ("physics step of 1 ms", "us per step", "times real time")


def main(options: argparse.Namespace) -> int:
    """Measure, write, print; returns the exit code.

    Raises:
        ConfigurationError: the engine is not installed.
        WorkerFailed: the measuring process did not end well.
    """
    try:
        registry.check(options.engine)
    except ValueError as error:
        raise ConfigurationError(f"--engine {options.engine}: {error}") from None
    here = machine.describe()
    request = {"engine": options.engine, "simulate_ms": SIMULATE_MS, "repetitions": options.repetitions}
    request["out"] = str(make_folder(options.out))
    times_us = launch.alone(WORKER, request)
    result = summarize(options.engine, times_us, start_times(options.repetitions, request))
    return publish(options, here, result, COLUMNS, rows(result), draw)


def start_times(repetitions: int, request: dict[str, Any]) -> dict[str, list[float]]:
    """Seconds of a process that makes a body and advances it once: numba's cache empty, and warm."""
    seconds: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as cache:
            for state in seconds:  # the first one fills the cache for the second
                began = time.perf_counter()
                launch.alone(WORKER, request | {"tendon": "rigid"}, NUMBA_CACHE_DIR=cache)
                seconds[state].append(time.perf_counter() - began)
    return seconds


def summarize(engine: str, times_us: dict[str, list[float]], start_s: dict[str, list[float]]) -> dict[str, Any]:
    """The content of the JSON file."""
    spreads = {name: spread(times_us[name]) for name in KINDS}
    times_real_time = {name: spread([1000 / each for each in times_us[name]]) for name in KINDS}
    return {
        "engine": engine,
        "simulated_ms": SIMULATE_MS,
        **{f"{name}_us_per_step": each["median"] for name, each in spreads.items()},
        "times_real_time": times_real_time["rigid"]["median"],
        "startup_s": {state: spread(values) for state, values in start_s.items()},
        "us_per_step": spreads,
        "times_real_time_of": times_real_time,
    }


def rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """One for each kind, then the start."""
    for name, what in KINDS.items():
        yield what, text(result["us_per_step"][name]), text(result["times_real_time_of"][name], ".0f")
    for state, seconds in result["startup_s"].items():
        yield f"start of a body, {state} cache of numba", text(seconds, ".2f") + " s", ""


def draw(result: dict[str, Any]) -> Figure:
    """Time of a step by kind."""
    figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
    draw_bars(axis, KINDS, result["us_per_step"])
    axis.set_xlabel(f"wall time of a physics step of 1 ms (us), {result['engine']}")
    return figure
