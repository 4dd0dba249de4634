# SPDX-License-Identifier: GPL-2.0-or-later
"""The ``cosim`` command: everything around runs; runs themselves are started with ``run.py`` under MPI."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code."""
    options = _parser().parse_args(arguments)
    return options.command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cosim", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    doctor = commands.add_parser("doctor", help="say what is installed, what is missing and how to get it")
    doctor.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    doctor.set_defaults(command=_doctor)
    return parser


def _doctor(options: argparse.Namespace) -> int:
    from cosim import doctor  # each command imports what it needs: starting NEST's or matplotlib's import is slow

    return doctor.main(json=options.json)


if __name__ == "__main__":
    sys.exit(main())
