# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim bench record``: what a recorded spike costs, in the loop, on disk and when the run has ended.

In the loop and in the merge it is the difference between two rates of the same neurons, so that what they
cost without any spike does not count; inside ``Run`` it is the difference to the same neurons without a
recorder. Times in the loop and in ``Run`` are those of a brain rank for the spikes that it records itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from cosim.bench import launch, machine
from cosim.bench.output import draw_bars, make_folder, publish
from cosim.bench.spread import spread, text
from cosim.engines.nest import kernel
from cosim.errors import ConfigurationError

COLUMNS = ("recording", "median (lowest-highest)")


def main(options: argparse.Namespace) -> int:
    """Measure, write, print; returns the exit code.

    Raises:
        ConfigurationError: arguments that do not fit together.
        WorkerFailed: the MPI job did not end well.
    """
    here = machine.describe()
    check(options)
    request = {"neurons": options.neurons, "rates_hz": options.rates_hz, "steps": options.steps}
    request |= {"repetitions": options.repetitions, "virtual_processes": options.ranks * options.threads}
    request["out"] = str(make_folder(options.out))
    blocks = launch.work("record", request, 1 + options.ranks, options.threads)
    result = summarize(options, blocks)
    return publish(options, here, result, COLUMNS, rows(result), draw)


def check(options: argparse.Namespace) -> None:
    """Refuse what cannot be measured, before NEST starts.

    Raises:
        ConfigurationError: with the value and what is allowed.
    """
    for name in ("ranks", "threads", "neurons", "steps"):
        if getattr(options, name) < 1:
            raise ConfigurationError(f"--{name} {getattr(options, name)}: must be 1 or more")
    rates = options.rates_hz
    if len(rates) != 2 or not 0 < rates[0] < rates[1]:
        given = ",".join(f"{rate:g}" for rate in rates)
        raise ConfigurationError(f"--rates-hz {given}: must be two rates above 0, the lower one first, such as 20,200")
    kernel.check(options.ranks, options.ranks * options.threads)


def summarize(options: argparse.Namespace, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """The content of the JSON file."""
    low, high = ([each for each in blocks if each["recorded"] and each["rate_hz"] == rate] for rate in options.rates_hz)
    silent = [each for each in blocks if not each["recorded"]]
    pairs = list(zip(low, high, strict=True))
    share = 1 / options.steps / options.ranks  # of all spikes, those of one rank in one step
    per_spike_ns = [
        1000 * (more["record_us"] - less["record_us"]) / (share * (more["spikes"] - less["spikes"]))
        for less, more in pairs
    ]
    in_run_ns = [
        1000 * (on["run_us"] - off["run_us"]) / (share * on["spikes"]) for on, off in zip(high, silent, strict=True)
    ]
    merge_ns = [1e9 * (more["merge_s"] - less["merge_s"]) / (more["spikes"] - less["spikes"]) for less, more in pairs]
    return {
        "brain_ranks": options.ranks,
        "threads_per_brain_rank": options.threads,
        "neurons": options.neurons,
        "rates_hz": options.rates_hz,
        "steps": options.steps,
        "record_ns_per_spike": spread(per_spike_ns),
        "run_ns_per_spike": spread(in_run_ns),
        "merge_ns_per_spike": spread(merge_ns),
        "shard_bytes_per_spike": spread([each["shard_bytes"] / each["spikes"] for each in high]),
        "merged_bytes_per_spike": spread([each["merged_bytes"] / each["spikes"] for each in high]),
        "spikes": {f"{each[0]['rate_hz']:g}": spread([one["spikes"] for one in each]) for each in (low, high)},
        "record_us_per_step": {
            f"{each[0]['rate_hz']:g}": spread([one["record_us"] for one in each]) for each in (low, high)
        },
    }


def rows(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """One for each quantity."""
    for rate, times_us in result["record_us_per_step"].items():
        spikes = result["spikes"][rate]["median"] / result["steps"]
        yield f"us per step at {rate} Hz, {spikes:,.0f} spikes per step", text(times_us, ".0f")
    yield "in the loop, ns per spike", text(result["record_ns_per_spike"], ".1f")
    yield "inside Run, ns per spike", text(result["run_ns_per_spike"], ".1f")
    yield "merge, ns per spike", text(result["merge_ns_per_spike"], ".1f")
    yield "shards, bytes per spike", text(result["shard_bytes_per_spike"], ".1f")
    yield "spikes.h5, bytes per spike", text(result["merged_bytes_per_spike"], ".1f")


def draw(result: dict[str, Any]) -> Figure:
    """Nanoseconds of a spike in the loop, inside Run and in the merge."""
    figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
    names = {
        "record_ns_per_spike": "in the loop",
        "run_ns_per_spike": "inside Run",
        "merge_ns_per_spike": "merge",
    }
    draw_bars(axis, names, result)
    axis.set_xlabel("time per recorded spike (ns)")
    return figure
