# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of ``run.py`` and of ``cosim run``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from cosim.errors import ConfigurationError
from cosim.experiment import walltime
from cosim.experiment.overrides import add_experiment

# How each program is called.
EXAMPLES = {"run.py": "mpiexec -n 2 python run.py", "cosim run": "cosim run"}


@dataclass(frozen=True)
class Options:
    """What a user typed."""

    experiment: str | None
    overrides: tuple[str, ...] = ()
    out: str | None = None
    wall_limit_s: float | None = None
    resume: str | None = None
    replay: str | None = None
    ranks: int | None = None
    """Brain ranks; None where it was not said."""
    force: bool = False
    """Whether to start also what is predicted not to fit into memory."""
    paused: bool = False
    """Whether to stand still before the first step, until told otherwise."""
    hold: bool = False
    """Whether to stand still after the last one, in place of ending."""
    steer: bool = True
    """Whether to listen to commands at all."""
    steer_socket: str | None = None
    """Where to listen for commands besides the run's folder, as ``tcp://127.0.0.1:*``."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"{message}\n{self.format_usage().strip()}")


def parse(arguments: Sequence[str], quiet: bool, program: str = "run.py") -> Options:
    """Read the command line; all ranks do, and only those that are not ``quiet`` print help.

    Raises:
        ConfigurationError: on every rank, for arguments that make no sense.
        SystemExit: after --help.
    """
    parser = _parser(program)
    if {"-h", "--help"} & set(arguments) and quiet:
        sys.exit(0)
    given = parser.parse_args(arguments)
    overrides = list(given.overrides)
    for key, value in (("clock.steps", given.steps), ("seed", given.seed)):
        if value is not None:
            overrides.append(f"{key}={value}")
    _check_mode(parser, given)
    _check_steering(parser, given)
    return Options(
        given.experiment,
        tuple(overrides),
        given.out,
        given.wall_limit_s,
        given.resume,
        given.replay,
        given.ranks,
        given.force,
        given.paused,
        given.hold,
        given.steer,
        given.steer_socket,
    )


def _check_steering(parser: _Parser, given: argparse.Namespace) -> None:
    """What stands still must be told to go on."""
    for name in ("paused", "hold"):
        if getattr(given, name) and not given.steer:
            parser.error(f"--{name} and --no-steer: nobody could tell the run to go on")
    if given.steer_socket and not given.steer:
        parser.error("--steer-socket and --no-steer: give one of both")


def _check_mode(parser: _Parser, given: argparse.Namespace) -> None:
    """An experiment runs by itself or along a recorded run; one that goes on stays what it was."""
    if not (given.experiment or given.resume or given.replay):
        parser.error("no experiment: name one, or a run that is there by --resume or --replay")
    if given.resume and given.replay:
        parser.error("--resume and --replay: give one of both")
    refused = {"--set": given.overrides, "--seed": given.seed, "--out": given.out}
    for name, value in refused.items():
        if given.resume and value:
            parser.error(f"{name} with --resume: a run goes on as it was, and where it was; only --steps may change")


def _folder(text: str) -> str:
    """The name of a folder. Refuse an empty one, as in ``--out "$RUN"`` where the shell's variable RUN is not set."""
    if not text:
        raise argparse.ArgumentTypeError("must name a folder, but is empty")
    return text


def _wall_s(text: str) -> float:
    try:
        return walltime.seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _ranks(text: str) -> int:
    if not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, 1 or more")
    return int(text)


def _parser(program: str) -> _Parser:
    parser = _Parser(
        prog=program,
        description="Run an experiment: rank 0 is the body, all other ranks are the brain.",
        epilog=f"example: {EXAMPLES[program]} mouse_m1 --set brain.patch_mm=0.2 --steps 10",
    )
    add_experiment(parser, nargs="?")
    parser.add_argument(
        "--resume",
        type=_folder,
        metavar="RUN",
        help="go on with a run that ended early, or further with --steps; RUN is its results folder",
    )
    parser.add_argument(
        "--replay", type=_folder, metavar="RUN", help="run the brain of a run alone, on the stimuli that it got"
    )
    parser.add_argument("--steps", metavar="N", help="number of coupling steps (the same as --set clock.steps=N)")
    parser.add_argument("--seed", metavar="N", help="seed of all randomness (the same as --set seed=N)")
    parser.add_argument(
        "--out", type=_folder, metavar="FOLDER", help="results folder; default: results/EXPERIMENT/<job id or time>"
    )
    parser.add_argument(
        "--wall-limit",
        dest="wall_limit_s",
        type=_wall_s,
        metavar="TIME",
        help="end after the running step, with complete results, when so much wall time has passed since the start: "
        "55min, 90s, 1.5h, HH:MM:SS or a number of seconds",
    )
    parser.add_argument(
        "--ranks",
        type=_ranks,
        metavar="N",
        help="brain ranks; default of `cosim run`: as many as the allocation of Slurm has, else one with threads; "
        "of run.py: what its launcher started, and nothing else is allowed",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="start also what is predicted not to fit into memory: that is an estimate; with a warning that says by "
        "how much",
    )
    parser.add_argument("--paused", action="store_true", help="stand still before the first step: see cosim steer")
    parser.add_argument("--hold", action="store_true", help="stand still after the last step, in place of ending")
    parser.add_argument(
        "--no-steer", dest="steer", action="store_false", help="take no commands from `cosim steer` or Python"
    )
    parser.add_argument(
        "--steer-socket",
        metavar="ENDPOINT",
        help="take commands through a socket, too, from the start: tcp://127.0.0.1:* for this machine and a free port",
    )
    return parser
