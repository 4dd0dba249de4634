# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim watch``: what a run does, shown from its files again and again, on any machine that sees them."""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cosim.errors import ConfigurationError
from cosim.experiment import walltime
from cosim.show.status import DEAD, Glance, Watcher

# At the end of a run files change their places; a look that met this is taken again.
ATTEMPTS, PAUSE_S = 10, 0.1


def main(path: str, interval: str, once: bool, json: bool) -> int:
    """Show a run until it has ended, or ``once``; as a table, or as one JSON object a line.

    Raises:
        ConfigurationError: it is no run, its files cannot be read, or the interval is none.
    """
    try:
        interval_s = walltime.seconds(interval)
    except ValueError as error:
        raise ConfigurationError(f"--interval {error}") from None
    glances = look(Watcher(Path(path)), interval_s, once)
    try:
        if json:
            for glance in glances:
                print(json_format.dumps(asdict(glance)), flush=True)
        else:
            show(glances)
    except KeyboardInterrupt:  # how one leaves
        pass
    return 0


def look(watcher: Watcher, interval_s: float, once: bool = False) -> Iterator[Glance]:
    """One look after the other, with ``interval_s`` between them, until the run has ended."""
    while True:
        glance = patient_look(watcher)
        yield glance
        if once or glance.has_ended:
            return
        time.sleep(interval_s)


def patient_look(watcher: Watcher) -> Glance:
    """A look; it is taken again if files change their places in the middle of it."""
    for _attempt in range(ATTEMPTS):
        try:
            return watcher.look()
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            trouble = error
            time.sleep(PAUSE_S)
    hint = "the run must be on a disk that this machine sees"
    raise ConfigurationError(f"{watcher.path}: its files cannot be read: {trouble}; {hint}")


def show(glances: Iterator[Glance]) -> None:
    """Draw over the last look where there is a terminal, else print each below the other."""
    console = Console(highlight=False)
    if not console.is_terminal:
        for glance in glances:
            console.print(picture(glance))
        return
    with Live(console=console, auto_refresh=False) as live:
        for glance in glances:
            live.update(picture(glance), refresh=True)


def picture(glance: Glance) -> RenderableType:
    """All that a look brought."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in _lines(glance):
        table.add_row(name, Text(value, style="bold" if name == "state" else ""))
    if not glance.rate_hz:
        return table
    rates = [f"{name} {rate_hz:.3g}" for name, rate_hz in glance.rate_hz.items()]
    heading = f"Hz over the last {glance.window_ms:g} ms:"
    return Group(table, heading, Columns(rates, padding=(0, 3), equal=True))


def _lines(glance: Glance) -> Iterator[tuple[str, str]]:
    yield "run", glance.folder
    yield "state", glance.state + (f": {glance.reason}" if glance.reason else "")
    if glance.state == DEAD:
        yield "", "`cosim recover` makes results of what is there"
    if glance.steps is not None:
        yield "step", f"{glance.step} of {glance.steps} ({glance.step / glance.steps:.0%})"
        yield "simulated", f"{glance.simulated_ms / 1000:g} s"
    yield from _speed(glance)
    for name, place_m in glance.position_m.items():
        yield name, ", ".join(f"{each:.4f}" for each in place_m) + " m"
    for each in glance.failed_functions:
        yield "failed", f"{each['name']} after step {each['step']}: {each['message']}"
    if glance.memory_mb:
        yield "memory", ", ".join(f"{each:.0f}" for each in glance.memory_mb) + " MB (by rank)"
    if glance.written_s_ago is not None:
        yield "written", f"{_duration(glance.written_s_ago)} ago"


def _speed(glance: Glance) -> Iterator[tuple[str, str]]:
    if glance.real_time_factor is not None:
        recent = glance.recent_real_time_factor
        lately = f", lately {recent:.3g}" if recent else ""
        yield "real-time factor", f"{glance.real_time_factor:.3g}{lately}"
    if glance.left_s is not None and not glance.has_ended:
        yield "time left", _duration(glance.left_s)


def _duration(seconds: float) -> str:
    """In seconds, longer ones in hours, minutes and seconds."""
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))
