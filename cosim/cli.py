# SPDX-License-Identifier: GPL-2.0-or-later
"""The ``cosim`` command: runs, and everything around them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from cosim.body.engines import registry
from cosim.cache import let_numba_write
from cosim.errors import EXIT_CONFIGURATION, ConfigurationError
from cosim.experiment.overrides import add_experiment

if TYPE_CHECKING:
    from cosim.experiment.config import Experiment


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    let_numba_write()
    try:
        if words[:1] == ["run"]:  # every rank comes here, and one of them prints what its options are
            return _run(words[1:])
        options = _parser().parse_args(words)
        return options.command(options)
    except ConfigurationError as error:
        print(f"cosim: {error}", file=sys.stderr)
        return EXIT_CONFIGURATION


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cosim", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("run", help="run an experiment; starts mpiexec or srun itself: cosim run --help says more")
    _add_new(commands)
    models = commands.add_parser("models", help="list the experiments, brains and bodies that are found by name")
    models.set_defaults(command=_models)
    doctor = commands.add_parser("doctor", help="say what is installed, what is missing and how to get it")
    doctor.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    doctor.set_defaults(command=_doctor)
    _add_describe(commands)
    _add_watch(commands)
    _add_steer(commands)
    _add_recover(commands)
    _add_report(commands)
    _add_export(commands)
    _add_replay(commands)
    _add_render(commands)
    _add_validate(commands)
    _add_bench(commands)
    return parser


def _add_new(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("new", help="write a small experiment to begin with, which runs at once")
    parser.add_argument("folder", metavar="FOLDER", help="must not be there yet; its name is that of the experiment")
    parser.set_defaults(command=_new)


def _add_describe(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("describe", help="say what an experiment will build, without building it")
    add_experiment(parser)
    parser.add_argument("--ranks", type=int, metavar="N", help="predict memory for so many brain ranks")
    parser.add_argument("--threads", type=int, metavar="T", help="and so many threads on each")
    parser.add_argument("--projections", action="store_true", help="list all projections too")
    parser.add_argument(
        "--predict",
        metavar="nodes=N,ranks=R,threads=T",
        help="predict speed and memory on other machines, by the model that `cosim bench model` fitted here",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.set_defaults(command=_describe)


def _add_watch(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("watch", help="show what a run does, from its files, while it goes on")
    parser.add_argument("run", metavar="RUN", help="results folder of the run")
    parser.add_argument(
        "--interval",
        default="1s",
        metavar="TIME",
        help="between looks: 10s, 2min or seconds; default: 1s",
    )
    parser.add_argument("--once", action="store_true", help="look once, and do not wait until the run has ended")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each look")
    parser.set_defaults(command=_watch)


def _add_steer(commands: argparse._SubParsersAction) -> None:
    from cosim.client import steer

    parser = commands.add_parser("steer", help="pause a run that goes on, step it, change it, reset it")
    steer.add_arguments(parser)
    parser.set_defaults(command=_steer)


def _add_recover(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("recover", help="make results of a run that was killed, up to the last whole step")
    parser.add_argument("run", metavar="RUN", help="results folder of the run")
    parser.add_argument("--out", metavar="FOLDER", help="another, new folder for the results, if the disk is full")
    parser.add_argument("--force", action="store_true", help="also if a run on another machine seems to go on")
    parser.set_defaults(command=_recover)


def _add_report(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("report", help="say what one or several runs did, from their result folders")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="results folder of a run")
    parser.add_argument(
        "--from",
        dest="start_ms",
        type=float,
        metavar="MS",
        help="window of the rates; default: the last 500 ms",
    )
    parser.add_argument(
        "--to", dest="end_ms", type=float, metavar="MS", help="end of that window; default: end of the run"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="the web page that is written too; default: RUN/report.html, or report.html beside the first of several",
    )
    parser.set_defaults(command=_report)


def _add_export(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("export", help="write a finished run in another format")
    parser.add_argument("run", metavar="RUN", help="results folder of a run")
    parser.add_argument(
        "--format",
        required=True,
        metavar="nwb|neo|csv",
        help="NWB, a file of Neo (.mat or .nix), or a folder of CSV files",
    )
    parser.add_argument(
        "--out", metavar="PATH", help="must not be there yet; default: run.nwb, run.mat or csv in the folder of the run"
    )
    parser.set_defaults(command=_export)


def _add_bench(commands: argparse._SubParsersAction) -> None:
    from cosim.bench import command

    command.add_arguments(commands.add_parser("bench", help="measure cosim on this machine"))


def _add_validate(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("validate", help="compare a body with reference data that OpenSim computed for it")
    parser.add_argument("body", help="name of a folder in models/, or the path of one, with a body.toml")
    parser.add_argument("reference", metavar="REFERENCE.npz", help="the reference data")
    parser.add_argument("--engine", choices=registry.ENGINES, default=registry.DEFAULT, help="default: %(default)s")
    parser.add_argument("--physics-step-ms", type=float, default=1.0, metavar="MS", help="default: 1")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.set_defaults(command=_validate)


def _add_replay(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "replay",
        help="run the brain of a run alone on the stimuli that it got, and compare; starts mpiexec or srun itself",
        usage="cosim replay RUN [EXPERIMENT] [OPTIONS]",
        description="the same as: cosim run [EXPERIMENT] --replay RUN [OPTIONS]",
    )
    parser.add_argument("run", metavar="RUN", help="results folder of a run; stands before everything else")
    parser.add_argument(
        "options",
        nargs=argparse.REMAINDER,
        metavar="OPTIONS",
        help="those of cosim run, such as --set, --out, --ranks, --force; EXPERIMENT only if its folder has moved",
    )
    parser.set_defaults(command=_replay)


def _add_render(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("render", help="make a film of the body in a run, from its results folder")
    parser.add_argument("run", metavar="RUN", help="results folder of a run")
    parser.add_argument(
        "--from", dest="start_ms", type=float, metavar="MS", help="simulated time at the start; default: 0"
    )
    parser.add_argument("--to", dest="end_ms", type=float, metavar="MS", help="default: end of the run")
    parser.add_argument(
        "--fps", type=float, default=25.0, metavar="N", help="frames per second of the film; default: 25"
    )
    parser.add_argument(
        "--speed",
        type=float,
        metavar="X",
        help="simulated time over film time; default: 0.25 for bodies with muscles, 1 for vehicles",
    )
    parser.add_argument("--size", default="640x480", metavar="WxH", help="in pixels; default: 640x480")
    parser.add_argument("--out", metavar="FILE", help=".mp4 or .gif, which is written over; default: RUN/film.mp4")
    parser.set_defaults(command=_render)


def _run(arguments: Sequence[str]) -> int:
    from cosim.modes import launch

    return launch.run(arguments)


def _new(options: argparse.Namespace) -> int:
    from cosim.tools import new

    return new.main(options.folder)


def _models(_options: argparse.Namespace) -> int:
    from cosim.tools import models

    return models.main()


def _describe(options: argparse.Namespace) -> int:
    import mpi4py

    mpi4py.rc.initialize = False  # nothing is communicated, and on a login node MPI may not start
    from cosim.tools import describe

    return describe.main(
        options.experiment,
        options.overrides,
        options.ranks,
        options.threads,
        options.json,
        options.projections,
        options.predict and partial(_predict, options.predict),
    )


def _predict(wish: str, experiment: Experiment) -> dict[str, Any]:
    """What an experiment would cost on so many nodes, ranks and threads as the ``wish`` says."""
    from cosim.bench import prediction

    return prediction.describe(experiment, prediction.parse(wish), prediction.read())


def _render(options: argparse.Namespace) -> int:
    from cosim.show import film

    wish = film.Wish(options.start_ms, options.end_ms, options.fps, options.speed, options.size)
    return film.main(options.run, options.out, wish)


def _replay(options: argparse.Namespace) -> int:
    return _run(["--replay", options.run, *options.options])


def _watch(options: argparse.Namespace) -> int:
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")  # a login node's file system may have no locks
    import mpi4py

    mpi4py.rc.initialize = False  # as of describe
    from cosim.show import watch

    return watch.main(options.run, options.interval, options.once, options.json)


def _steer(options: argparse.Namespace) -> int:
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")  # as of watch
    from cosim.client import steer

    return steer.main(options)


def _recover(options: argparse.Namespace) -> int:
    import mpi4py

    mpi4py.rc.initialize = False  # as of describe
    from cosim.modes import recover

    return recover.main(options.run, options.out, options.force)


def _report(options: argparse.Namespace) -> int:
    from cosim.show import report

    return report.main(options.runs, options.start_ms, options.end_ms, options.json, options.html)


def _export(options: argparse.Namespace) -> int:
    from cosim.results import export

    return export.main(options.run, options.format, options.out)


def _validate(options: argparse.Namespace) -> int:
    from cosim.tools import validate

    return validate.main(options.body, options.reference, options.engine, options.physics_step_ms, options.json)


def _doctor(options: argparse.Namespace) -> int:
    from cosim.tools import doctor  # each command imports what it needs: starting NEST's or matplotlib's import is slow

    return doctor.main(json=options.json)


if __name__ == "__main__":
    sys.exit(main())
