# SPDX-License-Identifier: GPL-2.0-or-later
"""cosim under a real Slurm: slurm/local.sh starts one on this machine for the time of these tests."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cosim.setup import nest, packages

ROOT = Path(__file__).parents[1]
LOCAL = ROOT / "slurm/local.sh"
# Slurm may claim more cores than there are: then it does not bind ranks to cores.
CORES = len(os.sched_getaffinity(0))
CLAIMED = max(4, CORES)
HELLO = "from mpi4py import MPI; print(MPI.COMM_WORLD.size)"


def daemon(package: str, program: str) -> packages.Package:
    path = f"{os.environ['PATH']}:/usr/sbin"
    return packages.Package(package, lambda: shutil.which(program, path=path) is not None)


DAEMONS = (daemon("slurm-wlm", "slurmctld"), daemon("munge", "munged"))


def call(*command: str, environment: dict[str, str], timeout_s: int = 60) -> str:
    """Standard output of a command that must succeed in time."""
    done = subprocess.run(command, cwd=ROOT, env=environment, timeout=timeout_s, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def outside_of_jobs() -> dict[str, str]:
    """This environment without what a Slurm job or an MPI launcher put there."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "PMI_"))}
    return ours | {"PYTHON": sys.executable, "OMP_PROC_BIND": "false" if CLAIMED > CORES else "close"}


@pytest.fixture(scope="module")
def slurm():
    """The environment in which commands find a Slurm of two nodes; it ends with the tests of this module."""
    try:
        packages.ensure(DAEMONS)
    except (packages.MissingPackages, subprocess.CalledProcessError) as problem:
        pytest.skip(f"no Slurm on this machine: {problem}")
    environment = outside_of_jobs()
    try:
        started = call(str(LOCAL), "start", "2", str(CLAIMED), environment=environment)
        yield environment | {"SLURM_CONF": started.split("SLURM_CONF=")[1].strip()}
    finally:
        call(str(LOCAL), "stop", environment=environment)


def submit(environment: dict, folder: Path, shape: list[str], arguments: list[str]) -> tuple[int, str]:
    """Exit code and output of slurm/run.sbatch as a job on one node; ``shape`` are options of sbatch."""
    log = folder / "job.log"
    command = ["sbatch", "--wait", "--nodes=1", f"--output={log}", *shape, "slurm/run.sbatch", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, timeout=240, stdin=subprocess.DEVNULL)
    return done.returncode, log.read_text()


@pytest.fixture
def stub(tmp_path):
    """A program in the place of Python: a rank says which cores it may use and what it was asked to run."""
    program = tmp_path / "stub"
    program.write_text('#!/bin/sh\necho "$(grep Cpus_allowed_list /proc/self/status) $*"\n')
    program.chmod(0o755)
    return {"PYTHON": str(program)}


@pytest.mark.timeout(120)
def test_srun_gives_one_world_over_two_nodes(slurm):
    srun = ["srun", "--nodes=2", "--ntasks=3", "--mpi=pmi2"]
    said = call(*srun, sys.executable, "-c", HELLO, environment=slurm)
    assert said.split() == ["3", "3", "3"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_experiment_runs_as_a_job(slurm, tmp_path):
    results = tmp_path / "results"
    ranks = 3 if nest.is_mpi_build(nest.installed_folder()) else 2
    code, said = submit(slurm, tmp_path, [f"--ntasks={ranks}", "--cpus-per-task=1"],
                        ["mouse_m1", "--steps", "3", "--set", "brain.patch_mm=0.1", "--out", str(results)])
    assert code == 0, said
    summary = next(results.rglob("summary.json"))
    assert json.loads(summary.read_text())["real_time_factor"] > 0


@pytest.mark.timeout(120)
def test_a_job_without_an_experiment_says_what_is_missing(slurm, tmp_path):
    code, said = submit(slurm, tmp_path, ["--ntasks=2", "--cpus-per-task=1"], [])
    assert code == 2
    assert "needs the name of an experiment" in said


@pytest.mark.timeout(120)
def test_what_the_user_sets_comes_after_what_the_job_sets(slurm, stub, tmp_path):
    wish = ["--set", "brain.virtual_processes=12"]
    code, said = submit(slurm | stub, tmp_path, ["--ntasks=2", "--cpus-per-task=2"], ["mouse_m1", *wish])
    assert code == 0, said
    asked = [line.split("run.py ")[1] for line in said.splitlines() if "run.py" in line]
    assert asked == ["mouse_m1 --set brain.virtual_processes=2 --set brain.virtual_processes=12"] * 2


@pytest.mark.timeout(120)
@pytest.mark.skipif(CORES < 4, reason=f"needs 4 cores to bind 2 ranks to 2 cores each, here are {CORES}")
def test_each_rank_has_cores_of_its_own(slurm, stub, tmp_path):
    code, said = submit(slurm | stub, tmp_path, ["--ntasks=2", "--cpus-per-task=2"], ["mouse_m1"])
    assert code == 0, said
    cores = [line.split()[1] for line in said.splitlines()]
    assert sorted(cores) == ["0-1", "2-3"]
