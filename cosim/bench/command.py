# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of ``cosim bench``; a benchmark itself is imported when it runs."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from cosim.bench.launch import ServerError, WorkerFailed
from cosim.body.engines import registry
from cosim.errors import EXIT_FAILED, ConfigurationError, RecordingError
from cosim.experiment.overrides import add_overrides

RESULTS = Path("results/bench")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give ``cosim bench`` its benchmarks."""
    names = parser.add_subparsers(required=True, metavar="NAME")
    for add in (_add_coupling, _add_rest, _add_scaling, _add_build, _add_record, _add_body, _add_model, _add_steer):
        add(names)
    _add_readme(names)


def run(options: argparse.Namespace) -> int:
    """Run the benchmark that was asked for and return the exit code.

    Raises:
        ConfigurationError: arguments that make no sense.
    """
    import mpi4py

    mpi4py.rc.initialize = False  # ranks are processes of their own; this one only looks at MPI's version
    if options.repetitions < 1:
        raise ConfigurationError(f"--repetitions {options.repetitions}: must be 1 or more")
    if options.name and Path(options.name).name != options.name:
        raise ConfigurationError(f"--name {options.name}: must be a name without folders")
    benchmark = importlib.import_module(f"cosim.bench.{options.benchmark}")
    try:
        return benchmark.main(options)
    except WorkerFailed as failure:
        return failure.code  # the worker has said what was wrong
    except (ServerError, RecordingError) as error:
        print(f"cosim: {error}", file=sys.stderr)
        return EXIT_FAILED


def _add_coupling(names: argparse._SubParsersAction) -> None:
    parser = _add(names, "coupling", "our loop against one uninterrupted Run of NEST on the same network")
    _add_experiment(parser)
    parser.add_argument(
        "--steps-ms",
        type=_numbers,
        default=[20.0, 5.0, 3.0],
        metavar="LIST",
        help="coupling steps, such as 20,5,3",
    )
    parser.add_argument(
        "--simulate-ms",
        type=float,
        default=480.0,
        metavar="MS",
        help="simulated time of each measurement; default: %(default)g",
    )
    parser.add_argument(
        "--warm-up-ms",
        type=float,
        default=60.0,
        metavar="MS",
        help="simulated time before it, on both sides alike; default: %(default)g",
    )
    parser.add_argument("--sinks", type=int, metavar="N", help="so many spike sinks; default: those of the experiment")


def _add_body(names: argparse._SubParsersAction) -> None:
    parser = _add(names, "body", "the forelimb with rigid and elastic tendons against the bare physics engine")
    parser.add_argument(
        "--engine",
        choices=registry.ENGINES,
        default=registry.DEFAULT,
        help="physics engine; default: %(default)s",
    )


def _add_rest(names: argparse._SubParsersAction) -> None:
    parser = _add(names, "rest", "our coupling against REST calls to NEST Server on the same network")
    _add_experiment(parser, default="mouse_m1")
    parser.add_argument(
        "--steps",
        type=int,
        default=20,
        metavar="K",
        help="coupling steps of each measurement; default: %(default)s",
    )


def _add_scaling(names: argparse._SubParsersAction) -> None:
    parser = _add(names, "scaling", "whole runs on several numbers of brain ranks, beside the published ones", 8)
    _add_experiment(parser, ranks=False)
    parser.add_argument(
        "--ranks",
        type=_whole_numbers,
        required=True,
        metavar="LIST",
        help="numbers of brain ranks, such as 1,2,3",
    )
    parser.add_argument("--threads", type=int, default=1, metavar="T", help="threads of each; default: %(default)s")
    _add_clock(parser)


def _add_build(names: argparse._SubParsersAction) -> None:
    parser = _add(names, "build", "building a network: synapses drawn by nestlink against NEST's own rules")
    _add_experiment(parser, default="mouse_m1")


def _add_record(names: argparse._SubParsersAction) -> None:
    parser = _add(names, "record", "what recording and merging a spike costs, at two rates")
    parser.add_argument("--ranks", type=int, default=1, metavar="N", help="brain ranks; default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, metavar="T", help="threads of each; default: %(default)s")
    parser.add_argument(
        "--neurons",
        type=int,
        default=5000,
        metavar="N",
        help="neurons that are recorded; default: %(default)s",
    )
    parser.add_argument(
        "--rates-hz",
        type=_numbers,
        default=[20.0, 200.0],
        metavar="LOW,HIGH",
        help="rates of each of them; default: 20,200",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=50,
        metavar="K",
        help="coupling steps of 20 ms of each measurement; default: %(default)s",
    )


def _add_model(names: argparse._SubParsersAction) -> None:
    parser = _add(names, "model", "a model of times, fitted to runs of several sizes on several splits", 3)
    _add_experiment(parser, ranks=False)
    lists = {
        "sizes": (_numbers, "0.1,0.15,0.2,0.25"),
        "ranks": (_whole_numbers, "1,2"),
        "threads": (_whole_numbers, "1"),
    }
    whats = {
        "sizes": "values of brain.patch_mm or brain.scale",
        "ranks": "brain ranks",
        "threads": "threads of each",
    }
    for name, (type_, default) in lists.items():
        parser.add_argument(
            f"--{name}",
            type=type_,
            default=default,
            metavar="LIST",
            help=f"{whats[name]}; default: {default}",
        )
    _add_clock(parser)
    parser.add_argument(
        "--full",
        type=float,
        metavar="SIZE",
        help="predict this size on the published numbers of processes too",
    )


def _add_steer(names: argparse._SubParsersAction) -> None:
    parser = _add(names, "steer", "how soon a command acts, and steps with a loop in another process")
    _add_experiment(parser, default="braitenberg")


def _add_clock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=50, metavar="K", help="coupling steps; default: %(default)s")
    parser.add_argument(
        "--step-ms", type=float, default=20.0, metavar="MS", help="of this length; default: %(default)g"
    )


def _add_readme(names: argparse._SubParsersAction) -> None:
    what = "results of benchmarks as a section of a page, such as docs/performance.md"
    parser = names.add_parser("readme", help=what, description=what)
    parser.add_argument(
        "--from",
        dest="out",
        type=Path,
        default=RESULTS,
        metavar="FOLDER",
        help="folder of the results; default: %(default)s",
    )
    parser.add_argument(
        "--into", type=Path, metavar="FILE", help="write it between its marks in this file; default: print it"
    )
    parser.set_defaults(command=run, benchmark="readme", repetitions=1, name=None)


def _add(names: argparse._SubParsersAction, name: str, what: str, repetitions: int = 5) -> argparse.ArgumentParser:
    """A benchmark with the options that all have."""
    parser = names.add_parser(name, help=what, description=what)
    parser.add_argument(
        "--repetitions",
        type=int,
        default=repetitions,
        metavar="R",
        help="how often everything is measured; default: %(default)s",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=RESULTS,
        metavar="FOLDER",
        help="folder of the JSON and the figure; default: %(default)s",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--name", metavar="NAME", help="of the two files; default: the benchmark's")
    parser.set_defaults(command=run, benchmark=name)
    return parser


def _add_experiment(parser: argparse.ArgumentParser, default: str | None = None, ranks: bool = True) -> None:
    what = "name of a folder in models/, or the path of one"
    if default:
        parser.add_argument("experiment", help=f"{what}; default: {default}", nargs="?", default=default)
    else:
        parser.add_argument("experiment", help=what)
    add_overrides(parser)
    if ranks:
        parser.add_argument("--ranks", type=int, default=1, metavar="N", help="brain ranks; default: %(default)s")
        parser.add_argument(
            "--threads",
            type=int,
            metavar="T",
            help="threads of each; default: brain.virtual_processes of the experiment / N",
        )


def _whole_numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be whole numbers with commas, such as 1,2,3") from None


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be numbers with commas, such as 20,5,3") from None
