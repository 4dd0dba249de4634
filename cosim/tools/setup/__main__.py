# SPDX-License-Identifier: GPL-2.0-or-later
"""Steps of the Makefile: ``python -m cosim.tools.setup packages | nest-mpi | wheel FOLDER | release``."""

import argparse
import subprocess
import sys
from pathlib import Path

from cosim.tools.setup import nest, packages, release


def main() -> int:
    """Run one step; a problem that a user can cure is one message and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m cosim.tools.setup", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("packages", help="see to the system packages that `make setup` needs")
    steps.add_parser("nest-mpi", help="put NEST with MPI in the place of NEST's wheel")
    steps.add_parser("wheel", help="unpack NEST's wheel into FOLDER").add_argument("folder", type=Path)
    steps.add_parser("release", help="check that version, changes and tag agree")
    args = parser.parse_args()
    try:
        run(args)
    except (packages.MissingPackages, RuntimeError, subprocess.CalledProcessError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def run(args: argparse.Namespace) -> None:
    """The step that the command line names."""
    if args.step == "packages":
        packages.ensure(packages.FOR_SETUP)
    elif args.step == "nest-mpi":
        nest.install_mpi_build()
    elif args.step == "release":
        print(f"version {release.check()}")
    else:
        nest.install_wheel(args.folder)


if __name__ == "__main__":
    sys.exit(main())
