# SPDX-License-Identifier: GPL-2.0-or-later
"""cosim without a clone: its wheel, built from the source distribution, in an environment of its own in folders with
spaces. What cosim depends on is taken from the environment that runs the tests. Needs the package registry.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec

import cosim
from cosim.cache import cache_folder
from cosim.tools.new import TEMPLATE

pytestmark = pytest.mark.timeout(600)

SOURCES = ("cosim", "models", "pyproject.toml", "setup.py", "README.md", "LICENSE")
SUFFIXES = (".py", ".cpp", ".h", ".json", ".toml")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
SDIST = "import setuptools.build_meta as backend; backend.build_sdist({out!r})"
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
IMPORTS = "from cosim.experiment.config import load; print(load('mouse_brain').brain.path); import cosim; print(cosim)"


def finished(command: list[str | Path], **options) -> str:
    """All that a command prints, which must succeed."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL, "text": True}
    result = subprocess.run([*map(str, command)], timeout=400, **streams, **options)
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel; built from a copy, as setuptools writes beside the source."""
    source, out = tmp_path_factory.mktemp("the source"), tmp_path_factory.mktemp("built")
    for name in SOURCES:
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, source / name)
    finished([*PIP, "install", "-q", "--target", out / "tools", "setuptools>=77"])
    tools = {"env": os.environ | {"PYTHONPATH": str(out / "tools")}, "cwd": source}
    finished([sys.executable, "-c", SDIST.format(out=str(out))], **tools)
    (archive,) = out.glob("cosim-*.tar.gz")
    finished([*PIP, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", out, archive], **tools)
    return next(out.glob("cosim-*.whl"))


class Installed:
    """An environment in which only cosim's wheel is installed, and a folder to work in."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        self.folder, environment = folder / "at work", folder / "an environment"
        self.folder.mkdir()
        finished([sys.executable, "-m", "venv", "--without-pip", environment])
        self.python = environment / "bin/python"
        finished([*PIP, "--python", self.python, "install", "-q", "--no-deps", wheel])
        self.package = next(environment.glob("lib/python*/site-packages/cosim"))
        # All else is looked for after it; of a clone that is installed there nothing is seen in this way.
        self.package.with_name("others.pth").write_text(sysconfig.get_path("purelib"))
        path = os.pathsep.join([os.environ["PATH"], str(Path(find_mpiexec()).parent)])
        # An MPI library from PyPI lies there.
        libraries = os.pathsep.join(filter(None, [f"{sys.prefix}/lib", os.environ.get("LD_LIBRARY_PATH")]))
        self.cache = folder / "cache"
        self.cache.mkdir()
        (self.cache / "nestlink").symlink_to(cache_folder() / "nestlink")  # not built once more
        self.environment = clean_environment(PATH=path, LD_LIBRARY_PATH=libraries, COSIM_CACHE=str(self.cache))
        del self.environment["PYTHONPATH"]
        self.prefix = self._read_only()

    def _read_only(self) -> list[str | Path]:
        """Words in front of a command for which the package cannot be written, whatever the user may do."""
        for path in (self.package, *self.package.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        bound = ["unshare", "--mount", "bash", "-c", READ_ONLY, self.package]
        may_bind = os.geteuid() == 0 and subprocess.run([*bound, "true"], capture_output=True).returncode == 0
        return bound if may_bind else []

    def call(self, *arguments: object) -> str:
        """What Python with these arguments prints."""
        return finished([*self.prefix, self.python, *arguments], cwd=self.folder, env=self.environment)

    def cosim(self, *arguments: object) -> str:
        """What the command ``cosim`` prints."""
        return self.call(self.python.with_name("cosim"), *arguments)

    @property
    def is_read_only(self) -> bool:
        """Root may write where it must not, and in some containers cannot bind a folder."""
        return bool(self.prefix) or os.geteuid() != 0

    @property
    def files(self) -> dict[Path, tuple[int, int]]:
        """Size and time of all files of the package; of caches only where there must be no new ones."""
        files = [file for file in self.package.rglob("*") if self.is_read_only or "__pycache__" not in file.parts]
        found = {file: file.stat() for file in files if file.is_file()}
        return {file: (stat.st_size, stat.st_mtime_ns) for file, stat in found.items()}


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Installed:
    return Installed(wheel, tmp_path_factory.mktemp("with spaces"))


@pytest.fixture(scope="module")
def printed(installed) -> dict[str, str]:
    """What the commands of a first day print; nothing in the package has changed then."""
    before = installed.files
    quick = ("--set", "brain.patch_mm=0.1")
    told = {
        "new": installed.cosim("new", "first try"),
        "run": installed.cosim("run", "first try", "--out", "a run"),
        "mouse": installed.cosim("run", "mouse_m1", "--steps", 5, *quick, "--out", "a mouse"),
        "describe": installed.cosim("describe", "mouse_m1", *quick),
        "models": installed.call("-m", "cosim", "models"),
    }
    assert installed.files == before
    return told


def test_the_wheel_has_the_version_all_sources_and_all_models(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    models = {f"cosim/{file.relative_to(REPOSITORY)}" for file in (REPOSITORY / "models").glob("*/*.*")}
    ours = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "cosim").rglob("*") if path.suffix in SUFFIXES}
    assert (models | ours) - names == set()
    assert {name.partition("/")[0] for name in names} == {"cosim", f"cosim-{cosim.__version__}.dist-info"}


def test_no_clone_is_used(installed):
    brain, package = installed.call("-B", "-c", IMPORTS).splitlines()[-2:]
    assert brain == str(installed.package / "models/rodent/network.py")
    assert str(installed.package / "__init__.py") in package


def test_cosim_new_says_what_to_type_and_that_makes_a_robot_follow_a_lamp(installed, printed):
    assert "cosim run 'first try'\n" in printed["new"]
    held = {file.name for file in (installed.folder / "first try").iterdir() if file.is_file()}
    assert held == {file.name for file in TEMPLATE.iterdir() if file.is_file()}
    summary = json.loads((installed.folder / "a run/summary.json").read_text())
    assert summary["complete"] and summary["brain_ranks"] == 1
    assert summary["mean_distance_m"] < 2.0  # it was 3 m at the start, and the lamp goes away
    assert "m from the lamp on average" in printed["run"]


def test_the_mouse_runs_from_a_package_that_cannot_be_written(installed, printed):
    assert json.loads((installed.folder / "a mouse/summary.json").read_text())["steps"] == 5
    log = (installed.folder / "a mouse/log.txt").read_text()
    assert f"experiment {installed.package}/models/mouse_m1, " in log
    assert any((installed.cache / "numba").rglob("*.nbc")) == installed.is_read_only


def test_describe_and_models_know_what_comes_with_the_package_and_what_is_here(installed, printed):
    assert str(installed.package / "models/rodent/network.py") in printed["describe"].replace("\n", "")
    here, shipped = str(installed.folder), str(installed.package / "models")
    listed = printed["models"].splitlines()
    assert listed.index(here) < next(i for i, line in enumerate(listed) if "first try" in line) < listed.index(shipped)
    assert any(line.split()[:2] == ["mouse_m1", "experiment"] for line in listed[listed.index(shipped) :])
