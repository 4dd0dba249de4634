# SPDX-License-Identifier: GPL-2.0-or-later
"""How a program comes to a run: it starts one, attaches to one that goes on, or starts one and waits for its end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cosim.client.known import settings
from cosim.client.live_run import LiveRun
from cosim.client.process import LaunchedRun
from cosim.client.waiting import Waiting
from cosim.errors import RunError
from cosim.experiment.config import find_experiment
from cosim.record.folder import RunFolder, new_folder
from cosim.results.run_data import RunData, load

LOOK_S = 0.05


def start(
    experiment: str | Path,
    *,
    ranks: int | None = None,
    set: Mapping[str, Any] = {},
    steps: int | None = None,
    seed: int | None = None,
    paused: bool = True,
    out: str | Path | None = None,
    timeout_s: float = 3600.0,
) -> LiveRun:
    """Start a run as ``cosim run`` does, and return it when it stands paused before its first step.

    Its processes end when this program does, however it ends, or when the returned object is gone.
    While the brain is built a line on the terminal or in the notebook says what the run does.

    Args:
        experiment: name or path, as for ``cosim run``.
        ranks: brain ranks; by default as ``cosim run`` chooses.
        set: values of the experiment, by key: ``{"brain.patch_mm": 0.2}``.
        steps: number of coupling steps, where the run ends.
        seed: of all randomness.
        paused: False: do not stand still before the first step, nor after the last one.
        out: the results folder; by default ``results/EXPERIMENT/<time or job id>``.
        timeout_s: how long building may take.

    Examples:
        >>> import cosim
        >>> with cosim.start("braitenberg", steps=20) as run:
        ...     here = run.step(5)
        ...     run.ports["left_light"].rate_hz = 4000.0
        ...     run.go()
        ...     results = run.finish()

    Raises:
        ConfigurationError: it cannot be run like this; nothing is left of it.
        RunError: it failed, or took too long; the message has the last lines that it printed.
    """
    arguments, folder = _arguments(experiment, ranks, set, steps, seed, paused, out)
    launched = LaunchedRun(arguments)
    try:
        with Waiting(f"{Path(experiment).name}") as waiting:
            _wait_until_there(launched, folder, timeout_s, waiting, paused)
    except BaseException:
        launched.end()
        raise
    return LiveRun(folder, launched)


def attach(folder: str | Path) -> LiveRun:
    """Take hold of a run of one's own that goes on, on any machine that shares its disk. It goes on without us, too.

    Examples:
        >>> import cosim
        >>> run = cosim.attach("results/mouse_m1/2026-01-01_12-00-00")  # doctest: +SKIP
        >>> run.pause()  # doctest: +SKIP

    Raises:
        RunError: no such run, it has ended, it was started without steering, or it is another user's.
    """
    run = LiveRun(Path(folder).resolve())
    run.connect()
    return run


def run(
    experiment: str | Path,
    *,
    ranks: int | None = None,
    set: Mapping[str, Any] = {},
    steps: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
) -> RunData:
    """Run an experiment from start to end and return its results; arguments are those of `start`.

    Whoever interrupts it (Ctrl-C, the notebook's stop button) ends the run after its step, with results.

    Examples:
        >>> import cosim
        >>> results = cosim.run("braitenberg", steps=10, seed=4)
        >>> results.summary["steps"]
        10

    Raises:
        ConfigurationError: it cannot be run like this; nothing is left of it.
        RunError: it failed; the message has the last lines that it printed.
    """
    arguments, folder = _arguments(experiment, ranks, set, steps, seed, False, out)
    launched = LaunchedRun(arguments)
    try:
        with Waiting(f"{Path(experiment).name}") as waiting:
            while launched.is_alive:
                waiting.look(folder)
                time.sleep(LOOK_S)
    except BaseException:
        launched.end()
        launched.wait()
        raise
    check_end(launched, folder)
    return load(folder)


def check_end(launched: LaunchedRun, folder: Path) -> None:
    """Raise what is to be raised when processes have ended: ConfigurationError, RunError, or nothing."""
    if refusal := launched.refusal():
        _remove_empty(folder)
        raise refusal
    if launched.has_failed:
        raise RunError(f"{folder}: the run failed, with exit code {launched.exit_code}\n{launched.last_lines()}")


def _arguments(
    experiment: str | Path,
    ranks: int | None,
    values: Mapping[str, Any],
    steps: int | None,
    seed: int | None,
    paused: bool,
    out: str | Path | None,
) -> tuple[list[str], Path]:
    """The arguments of ``cosim run``, and the folder that it will write."""
    found = find_experiment(str(experiment))
    folder = Path(out).resolve() if out else new_folder(found.name, Path("results"))
    words = [str(found), "--out", str(folder)]
    for setting in settings(values):
        words += ["--set", setting]
    for name, number in (("--ranks", ranks), ("--steps", steps), ("--seed", seed)):
        words += [] if number is None else [name, str(number)]
    return words + ["--paused", "--hold"] * paused, folder


def _wait_until_there(launched: LaunchedRun, folder: Path, timeout_s: float, waiting: Waiting, paused: bool) -> None:
    last = time.monotonic() + timeout_s
    while not _is_there(folder, paused):
        if not launched.is_alive:
            check_end(launched, folder)
            if not paused:  # it was done before we looked
                return
            raise RunError(f"{folder}: the run ended before it could be steered\n{launched.last_lines()}")
        if time.monotonic() > last:
            raise RunError(f"{folder}: not built within {timeout_s:g} s\n{launched.last_lines()}")
        waiting.look(folder)
        time.sleep(LOOK_S)


def _is_there(folder: Path, paused: bool) -> bool:
    """Whether the brain stands, and where ``paused`` the run takes commands and stands still."""
    files = RunFolder(folder)
    if not paused:
        return files.built_file.exists() or files.summary_file.exists()
    try:
        return json.loads(files.state_file.read_text())["state"] == "paused"
    except FileNotFoundError:
        return False


def _remove_empty(folder: Path) -> None:
    """The folder that we made for a run that was refused."""
    if folder.is_dir() and not any(_files(folder)):
        for inner in sorted(folder.rglob("*"), reverse=True):
            inner.rmdir()
        folder.rmdir()


def _files(folder: Path) -> Iterator[Path]:
    return (inner for inner in folder.rglob("*") if not inner.is_dir())
