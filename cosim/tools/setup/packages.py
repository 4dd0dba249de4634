# SPDX-License-Identifier: GPL-2.0-or-later
"""System packages: which are needed for what, which are missing, and how to get them."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


class MissingPackages(Exception):
    """System packages are missing and this user cannot install them."""


@dataclass(frozen=True)
class Package:
    """A Debian package and the test that tells whether what it brings is there."""

    name: str
    is_there: Callable[[], bool]


def has_header(header: str) -> bool:
    """Whether the C++ compiler finds ``header``, wherever it looks (system folders, CPATH of a module)."""
    if shutil.which("g++") is None:
        return False
    preprocess = ["g++", "-E", "-x", "c++", "-"]
    done = subprocess.run(preprocess, input=f"#include <{header}>\n", capture_output=True, text=True)
    return done.returncode == 0


def has_python_headers() -> bool:
    """Whether extensions can be compiled for the Python that runs this."""
    return Path(sysconfig.get_path("include"), "Python.h").exists()


VENV = Package(f"{PYTHON}-venv", lambda: importlib.util.find_spec("ensurepip") is not None)
COMPILER = Package("g++", lambda: shutil.which("g++") is not None)
BOOST = Package("libboost-dev", lambda: has_header("boost/type_index.hpp"))
LTDL = Package("libltdl-dev", lambda: has_header("ltdl.h"))
GSL = Package("libgsl-dev", lambda: has_header("gsl/gsl_version.h"))
PYTHON_DEV = Package(f"{PYTHON}-dev", has_python_headers)

FOR_SETUP = (VENV, COMPILER)
FOR_NEST_MPI = (COMPILER, BOOST, LTDL, GSL, PYTHON_DEV)


def missing(packages: tuple[Package, ...]) -> list[str]:
    """Names of those of ``packages`` that are not there."""
    return [package.name for package in packages if not package.is_there()]


def may_install() -> bool:
    """Whether this user can install Debian packages without being asked for a password."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def ensure(packages: tuple[Package, ...]) -> None:
    """Install what is missing, or raise ``MissingPackages`` with the command that does."""
    names = missing(packages)
    if not names:
        return
    if not may_install():
        raise MissingPackages(how_to_install(names))
    install(names)
    if still := missing(packages):
        raise MissingPackages(f"still not found after apt-get install: what these bring: {', '.join(still)}")


def how_to_install(names: list[str]) -> str:
    """One message: what is missing and what to type."""
    return (
        f"cosim needs system packages that are missing: {', '.join(names)}. On Debian or Ubuntu type\n"
        f"    sudo apt-get install {' '.join(names)}\n"
        "and then the same command again; elsewhere install what your system calls them."
    )


def install(names: list[str]) -> None:
    """Install Debian packages, waiting for another apt-get to end if there is one."""
    print(f"installing system packages: {' '.join(names)}", flush=True)
    apt = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=600"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # Lists of packages may be old or absent; whether they were enough shows in the installation.
    subprocess.run([*apt, "update"], env=environment, stdin=subprocess.DEVNULL)
    subprocess.run(
        [*apt, "install", "-y", "--no-install-recommends", *names],
        env=environment,
        stdin=subprocess.DEVNULL,
        check=True,
    )
