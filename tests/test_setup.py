# SPDX-License-Identifier: GPL-2.0-or-later
"""Set-up: the cache folder, system packages, the build of NEST with MPI (with a stand-in for pip)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cosim.cache import cache_folder
from cosim.engines.nest.install import NestInstall
from cosim.tools.setup import mpi, nest, packages

ROOT = Path(__file__).parents[1]
# Stand-ins for pip: the folder for the wheel follows --wheel-dir.
FOLDER = "import sys, pathlib; folder = pathlib.Path(sys.argv[sys.argv.index('--wheel-dir') + 1]); "
WHEEL = "(folder / 'nest_simulator-3.10.0-cp311-cp311-linux_x86_64.whl').write_text('wheel'); "
PIP_THAT_WORKS = [sys.executable, "-c", FOLDER + WHEEL]
PIP_THAT_FAILS = [sys.executable, "-c", FOLDER + WHEEL + "print('mpicxx said no'); sys.exit(3)"]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COSIM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def package(name: str, is_there: bool) -> packages.Package:
    return packages.Package(name, lambda: is_there)


class TestCacheFolder:
    def test_cosim_cache_wins(self, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
        monkeypatch.setenv("COSIM_CACHE", "~/wheels")
        assert cache_folder() == Path.home() / "wheels"

    @pytest.mark.parametrize(
        ("xdg", "expected"),
        [
            ("/scratch/me", "/scratch/me/cosim"),
            ("not/absolute", "/home/me/.cache/cosim"),
            ("", "/home/me/.cache/cosim"),
        ],
    )
    def test_without_it_the_xdg_rules_hold(self, monkeypatch, xdg, expected):
        monkeypatch.delenv("COSIM_CACHE")
        monkeypatch.setenv("HOME", "/home/me")
        monkeypatch.setenv("XDG_CACHE_HOME", xdg)
        assert cache_folder() == Path(expected)


class TestPackages:
    WANTED = (package("libhere-dev", True), package("libone-dev", False), package("libtwo-dev", False))

    def test_without_root_one_message_names_all_and_the_command(self, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        monkeypatch.setattr(packages, "install", lambda names: pytest.fail(f"tried to install {names}"))
        with pytest.raises(packages.MissingPackages) as problem:
            packages.ensure(self.WANTED)
        assert "sudo apt-get install libone-dev libtwo-dev\n" in str(problem.value)
        assert "libhere-dev" not in str(problem.value)

    def test_root_installs_what_is_missing(self, monkeypatch):
        there = set()
        monkeypatch.setattr(packages, "may_install", lambda: True)
        monkeypatch.setattr(packages, "install", there.update)
        wanted = packages.Package("libone-dev", lambda: "libone-dev" in there)
        packages.ensure((wanted, package("libhere-dev", True)))
        assert there == {"libone-dev"}

    def test_an_installation_without_effect_is_an_error(self, monkeypatch):
        monkeypatch.setattr(packages, "may_install", lambda: True)
        monkeypatch.setattr(packages, "install", lambda names: None)
        with pytest.raises(packages.MissingPackages, match="libone-dev, libtwo-dev"):
            packages.ensure(self.WANTED)

    @pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
    def test_headers_are_what_the_compiler_finds(self, monkeypatch, tmp_path):
        assert not packages.has_header("cosim_test/found.h")
        (tmp_path / "cosim_test").mkdir()
        (tmp_path / "cosim_test/found.h").touch()
        monkeypatch.setenv("CPATH", str(tmp_path))
        assert packages.has_header("cosim_test/found.h")

    def test_the_command_says_so_without_a_traceback(self):
        done = subprocess.run(
            [sys.executable, "-m", "cosim.tools.setup", "packages"],
            cwd=ROOT,
            env={"PATH": "/nowhere"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert done.stderr.startswith("cosim needs system packages that are missing: g++. On Debian")
        assert done.stdout == ""


class TestBuildOfNest:
    def test_the_folder_tells_python_system_and_mpi_apart(self, monkeypatch, empty_cache):
        monkeypatch.setattr(mpi, "library_version", lambda: "MPICH Version: 5.0.2")
        mpich = nest.wheel_folder()
        monkeypatch.setattr(mpi, "library_version", lambda: "Open MPI v4.1.4, package: Debian OpenMPI")
        assert mpich.parent == empty_cache / "wheels"
        assert mpich.name.startswith("cp311-") and mpich.name.endswith("-mpich-5.0.2")
        assert nest.wheel_folder().name.endswith("-openmpi-4.1.4")

    def test_a_finished_build_is_found_again(self, monkeypatch):
        monkeypatch.setattr(nest, "PIP", PIP_THAT_WORKS)
        assert nest.cached_wheel() is None
        wheel = nest.build()
        assert nest.cached_wheel() == wheel
        assert wheel.read_text() == "wheel"

    def test_a_failed_build_shows_its_log_and_leaves_no_wheel(self, monkeypatch, empty_cache):
        monkeypatch.setattr(nest, "PIP", PIP_THAT_FAILS)
        with pytest.raises(nest.BuildFailed, match="(?s)mpicxx said no.*exit code 3; log: .*build.log"):
            nest.build()
        assert [path.name for path in empty_cache.rglob("*.*") if path.is_file()] == ["build.log"]

    def test_the_compiler_of_this_python_comes_first(self, monkeypatch):
        monkeypatch.setenv("PATH", "/usr/bin")
        assert nest.build_environment(2)["PATH"] == f"{Path(sys.executable).parent}:/usr/bin"

    @pytest.mark.parametrize(
        ("log", "says"),
        [
            ("[3/219] Building\n[4/219] Building\n", "compiled 4/219"),
            ("[  7%] Building", "compiled 7%"),
            ("Collecting nest-simulator", "downloading and configuring"),
        ],
    )
    def test_progress_is_the_last_step_of_the_log(self, log, says):
        assert nest.progress(log) == says

    @pytest.mark.parametrize(("line", "with_mpi"), [("#define HAVE_MPI 1", True), ("/* #undef HAVE_MPI */", False)])
    def test_config_h_says_whether_nest_has_mpi(self, tmp_path, line, with_mpi):
        (tmp_path / "include/nest").mkdir(parents=True)
        (tmp_path / "include/nest/config.h").write_text(f"/* MPI is available. */\n{line}\n")
        assert NestInstall(tmp_path).has_mpi is with_mpi

    def test_a_nest_that_counts_one_process_is_refused(self, monkeypatch):
        monkeypatch.setattr(mpi, "lines_of_two_ranks", lambda code: ["NEST counts 1", "NEST counts 1"])
        with pytest.raises(nest.BuildFailed, match="does not count 2 processes"):
            nest.check()


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("MPICH Version: 5.0.2", "mpich-5.0.2"),
        ("Open MPI v4.1.4, package: Debian OpenMPI", "openmpi-4.1.4"),
        ("Intel(R) MPI Library 2021.11 for Linux* OS", "intelrmpilibrary-2021.11"),
    ],
)
def test_name_of_an_mpi_library(version, name):
    assert mpi.library_name(version) == name


def test_an_unknown_mpi_library_is_an_error():
    with pytest.raises(ValueError, match="'no digits'"):
        mpi.library_name("no digits")


def test_set_up_needs_the_standard_library_only():
    modules = "cosim.tools.setup.packages, cosim.tools.setup.nest, cosim.tools.setup.__main__"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {modules}"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_make_without_python_311_says_so(tmp_path):
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(["make", "setup", "PYTHON="], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.startswith("cosim needs Python 3.11")
    assert not (tmp_path / ".venv").exists()
