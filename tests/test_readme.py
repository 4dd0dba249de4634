# SPDX-License-Identifier: GPL-2.0-or-later
"""The README is true: its commands run, its examples work, its files are there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec

README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]

# Commands that another test runs as they stand.
RUN_ELSEWHERE = {
    "make demo": "test_fresh_clone.py",
    "make test": ".ci/run",
    "make nest-mpi": "run by `make test`",
    "cosim new my_experiment": "test_install.py",
    "cosim run my_experiment": "test_install.py",
    ".venv/bin/mpiexec -n 5 .venv/bin/python run.py mouse_m1": "test_run.py",
    ".venv/bin/cosim report results/light": "test_report.py, on another run",
    ".venv/bin/cosim render results/light --speed 2 --out light.gif": "test_render.py, on another run",
    ".venv/bin/cosim bench body": "test_bench.py, with fewer repetitions",
    "sbatch slurm/run.sbatch mouse_m1": "test_slurm.py, with fewer steps",
}


def blocks(language: str) -> list[str]:
    return [block for kind, block in BLOCKS if kind == language]


def run(command: list[str], **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=250, **options)


def with_this_environment(command: str, out: Path) -> list[str]:
    """The words of a command, with the tools of the environment that runs the tests, and its results out of the way."""
    tools = {".venv/bin/mpiexec": [find_mpiexec()], ".venv/bin/python": [sys.executable]}
    tools[".venv/bin/cosim"] = [sys.executable, "-m", "cosim.cli"]
    words = shlex.split(command)
    if "run.py" in words:
        if "--out" in words:
            del words[words.index("--out") : words.index("--out") + 2]
        words += ["--out", str(out)]
    return [part for word in words for part in tools.get(word, [word])]


@pytest.mark.slow
@pytest.mark.parametrize("command", [line for line in COMMANDS if line not in RUN_ELSEWHERE])
def test_command_runs(command, tmp_path):
    result = run(with_this_environment(command, tmp_path / "run"), cwd=REPOSITORY)
    assert result.returncode == 0, result.stderr


def test_commands_that_are_run_elsewhere_are_still_in_the_readme():
    assert set(RUN_ELSEWHERE) <= set(COMMANDS)


@pytest.mark.slow
def test_the_experiment_and_transfer_functions_shown_work_together(tmp_path):
    folder = tmp_path / "shown"
    folder.mkdir()
    (folder / "experiment.toml").write_text(blocks("toml")[0])
    (folder / "transfer.py").write_text(blocks("python")[0])
    small = ["--steps", "3", "--set", "brain.patch_mm=0.1", "--out", str(tmp_path / "run")]
    result = run([find_mpiexec(), "-n", "2", sys.executable, "run.py", str(folder), *small], cwd=REPOSITORY)
    assert result.returncode == 0, result.stderr
    read_three_lines(tmp_path)


def read_three_lines(folder: Path) -> None:
    """The three lines that read a spike file, on the run in ``folder``."""
    shutil.copytree(folder / "run", folder / "results/try")
    check = "\nassert len(timestamps_ms) == len(node_ids)"
    result = run([sys.executable, "-c", blocks("python")[1] + check], cwd=folder)
    assert result.returncode == 0, result.stderr


def test_the_experiment_shown_has_the_values_of_the_real_one():
    shown = tomllib.loads(blocks("toml")[0])
    real = tomllib.loads((REPOSITORY / "models/mouse_m1/experiment.toml").read_text())
    assert shown["clock"] == real["clock"]
    assert shown["brain"].items() <= real["brain"].items()
    assert shown["sources"][0] == real["sources"][0]


def test_files_that_the_readme_links_to_exist():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    for link in links:
        assert (REPOSITORY / link).exists(), link
