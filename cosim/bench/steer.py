# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim bench steer``: how soon a command acts, and what a loop in another process costs in each step."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from cosim.bench import machine
from cosim.bench.channel import round_trips
from cosim.bench.output import draw_bars, publish
from cosim.bench.spread import spread, text
from cosim.client.live_run import LiveRun
from cosim.client.session import start
from cosim.control.channel import Channel
from cosim.control.listener import OPEN_SOCKET
from cosim.errors import ConfigurationError

WAYS = ("files", "socket")
# For each repetition: commands to a run that goes on, steps of it alone and with a loop, bare round trips.
COMMANDS, STEPS, TRIPS = 20, 1000, 100
MOST_STEPS = 1_000_000
TIMES_MS = {
    "channel_files_ms": "round trip by files",
    "channel_socket_ms": "round trip through the socket",
    "acts_files_ms": "command acts, sent as a file",
    "acts_socket_ms": "command acts, sent through the socket",
}
STEPS_US = {"alone_us": "a step, paused before and after", "loop_us": "a step, with a loop in another process"}
COLUMNS = ("steering", "median (lowest to highest)")


def main(options: argparse.Namespace) -> int:
    """Measure, write, print; returns the exit code.

    Raises:
        ConfigurationError: the experiment cannot be run, or pyzmq is missing.
    """
    here = machine.describe()
    with tempfile.TemporaryDirectory() as scratch:
        result = {"experiment": options.experiment, "ranks": options.ranks, **measure(options, Path(scratch))}
    return publish(options, here, result, COLUMNS, rows(result), draw)


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """The content of the JSON file. Bare round trips first, then a run; its two kinds of steps take turns."""
    trips = round_trips(scratch / "channel", TRIPS, TRIPS)
    times: dict[str, list[float]] = {f"channel_{way}_ms": [1e3 * each for each in trips[way]] for way in WAYS}
    overrides = dict(each.split("=", 1) for each in options.overrides)
    experiment = {"set": overrides, "ranks": options.ranks, "steps": MOST_STEPS}
    with start(options.experiment, out=scratch / "run", **experiment) as run:
        run.step(STEPS)  # warm
        for _ in range(options.repetitions):
            times.setdefault("alone_us", []).append(1e6 * alone(run) / STEPS)
            times.setdefault("loop_us", []).append(1e6 * in_loop(run) / STEPS)
        step_ms = run.step_ms
        run.go()
        for way in WAYS:
            times[f"acts_{way}_ms"] = [1e3 * each for each in acts(run, way, COMMANDS * options.repetitions)]
    spreads = {name: spread(values) for name, values in times.items()}
    return {
        "coupling_step_ms": step_ms,
        "steps_per_s_alone": 1e6 / spreads["alone_us"]["median"],
        "steps_per_s_in_loop": 1e6 / spreads["loop_us"]["median"],
        "loop_adds_us": spreads["loop_us"]["median"] - spreads["alone_us"]["median"],
        "times": spreads,
    }


def alone(run: LiveRun) -> float:
    """Seconds that steps take without a loop."""
    began = time.perf_counter()
    run.step(STEPS)
    return time.perf_counter() - began


def in_loop(run: LiveRun) -> float:
    """Seconds that as many take in a loop of this process, which reads and writes in each; without its beginning."""
    began = 0.0
    for number, step in enumerate(run):
        began = began or time.perf_counter()
        step.stimulus[:] = step.stimulus + step.readout.sum() * 0.0
        if number == STEPS:
            break
    return time.perf_counter() - began


def acts(run: LiveRun, way: str, count: int) -> list[float]:
    """Seconds from sending a command to a run that goes on until its answer, which comes when it has acted."""
    with Channel(run.folder) as channel:
        if way == "socket":
            channel.send({"command": OPEN_SOCKET})
            channel.send({"command": "status"})  # connects
        seconds = []
        for number in range(count):
            began = time.perf_counter()
            answer = channel.send({"command": "mark", "text": f"{way} {number}"})
            seconds.append(time.perf_counter() - began)
            if not answer["ok"]:
                raise ConfigurationError(f"the run refused a mark: {answer['error']}")
    return seconds


def rows(result: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """One for each time, then what follows from them."""
    for name, what in {**TIMES_MS, **STEPS_US}.items():
        unit = name.rpartition("_")[2]
        yield what, f"{text(result['times'][name])} {unit}"
    yield "steps per second, alone and with the loop", _both(result)
    yield "what the loop adds to a step", f"{result['loop_adds_us']:.0f} us"


def _both(result: Mapping[str, Any]) -> str:
    return f"{result['steps_per_s_alone']:.0f} and {result['steps_per_s_in_loop']:.0f}"


def draw(result: dict[str, Any]) -> Figure:
    """Times of commands and of steps."""
    figure, (commands, steps) = plt.subplots(2, figsize=(7, 4), layout="constrained")
    draw_bars(commands, TIMES_MS, result["times"])
    commands.set_xlabel("ms")
    draw_bars(steps, STEPS_US, result["times"])
    steps.set_xlabel("wall time of a coupling step (us)")
    return figure
