# SPDX-License-Identifier: GPL-2.0-or-later
"""The scripts in slurm/ under a real Slurm: slurm/local/cluster.sh starts one here for these tests."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cosim.tools.setup import nest, packages

ROOT = Path(__file__).parents[1]
CLUSTER = ROOT / "slurm/local/cluster.sh"
CORES = len(os.sched_getaffinity(0))
UNFINISHED = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING")
MOUSE = ["mouse_m1", "--steps", "3", "--set", "brain.patch_mm=0.1"]
BRAITENBERG = ["braitenberg", "--steps", "10000000"]

# Nodes with cores of their own as far as there are cores; with too few all share them and nothing is bound.
one_node = pytest.mark.parametrize("slurm", [(1, max(2, CORES))], indirect=True, ids=["one node"])
two_nodes = pytest.mark.parametrize("slurm", [(2, 2)], indirect=True, ids=["two nodes"])
four_nodes = pytest.mark.parametrize("slurm", [(4, 1)], indirect=True, ids=["four nodes"])

# The same three ranks in two ways.
both_jobs = pytest.mark.parametrize(
    "script, shape", [("run", "--ntasks=3"), ("hetjob", "--ntasks=1 : --ntasks-per-node=1")]
)

# Python reads this before a program: every rank of a job says where it is. Written at once, as lines of
# several ranks mix otherwise.
WHERE = """
import os
if "PMI_RANK" in os.environ:
    rank, size, node = (os.environ[name] for name in ("PMI_RANK", "PMI_SIZE", "SLURMD_NODENAME"))
    cores = "+".join(map(str, sorted(os.sched_getaffinity(0))))
    os.write(2, f"\\n<rank {rank} of {size} on {node} with {cores}>\\n".encode())
"""
RANK = re.compile(r"<rank (\d+) of (\d+) on (\w+) with ([\d+]+)>")


@dataclass(frozen=True)
class Rank:
    """Where a rank of a job was."""

    rank: int
    size: int
    node: str
    cores: frozenset[int]


@dataclass(frozen=True)
class Job:
    """A job that has ended: its exit code and all that it printed."""

    code: int
    said: str

    @property
    def ranks(self) -> list[Rank]:
        """All ranks of all its steps, by size of the world and rank."""
        found = (
            Rank(int(rank), int(size), node, frozenset(map(int, cores.split("+"))))
            for rank, size, node, cores in RANK.findall(self.said)
        )
        return sorted(found, key=lambda each: (each.size, each.rank))


@dataclass(frozen=True)
class Slurm:
    """A running Slurm; ``binds`` if ranks get cores of their own."""

    environment: dict[str, str]
    folder: Path
    binds: bool

    def call(self, *command: str) -> str:
        """Standard output of a command that must succeed."""
        return call(*command, environment=self.environment)

    def submit(self, script: str, *arguments: object, shape: str = "", **environment: str) -> int:
        """Submit a script of slurm/; ``shape`` are options of sbatch. Returns the number of the job."""
        command = ["sbatch", "--parsable", f"--output={self.folder / 'job-%j.log'}", *shape.split()]
        command += [f"slurm/{script}.sbatch", *map(str, arguments)]
        return int(call(*command, environment=self.environment | environment))

    def log(self, job: int) -> str:
        """What the job has printed so far."""
        log = self.folder / f"job-{job}.log"
        return log.read_text() if log.exists() else ""

    def wait(self, job: int) -> Job:
        """Wait for the end of a job; the tests' own time-out limits it."""
        while (state := self.state(job))["JobState"] in UNFINISHED:
            time.sleep(0.2)
        code, _, signal = state["ExitCode"].partition(":")
        return Job(int(code) or int(signal), self.log(job))

    def wait_until(self, job: int, word: str) -> None:
        """Wait until a job has printed ``word``; fail if it ends before."""
        while word not in self.log(job):
            assert self.state(job)["JobState"] in UNFINISHED, self.log(job)
            time.sleep(0.2)

    def state(self, job: int) -> dict[str, str]:
        """What Slurm knows of a job; of a heterogeneous one, of its first part."""
        said = self.call("scontrol", "--oneliner", "show", "job", str(job))
        line = next(line for line in said.splitlines() if line.startswith(f"JobId={job} "))
        return dict(word.split("=", 1) for word in line.split() if "=" in word)

    def run(self, script: str, *arguments: object, shape: str = "", **environment: str) -> Job:
        """Submit a script and wait for its end."""
        return self.wait(self.submit(script, *arguments, shape=shape, **environment))


def daemon(package: str, program: str) -> packages.Package:
    path = f"{os.environ['PATH']}:/usr/sbin"
    return packages.Package(package, lambda: shutil.which(program, path=path) is not None)


DAEMONS = (daemon("slurm-wlm", "slurmctld"), daemon("munge", "munged"))


def call(*command: str, environment: dict[str, str]) -> str:
    """Standard output of a command that must succeed in a minute."""
    quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    done = subprocess.run(command, cwd=ROOT, env=environment, timeout=60, **quiet)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def outside_of_jobs(folder: Path) -> dict[str, str]:
    """This environment without what a job or a launcher put there; in it ranks say where they are."""
    (folder / "sitecustomize.py").write_text(WHERE)
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "PMI_"))}
    paths = os.pathsep.join(filter(None, [str(folder), str(ROOT), os.environ.get("PYTHONPATH")]))
    return ours | {"PYTHON": sys.executable, "PYTHONPATH": paths}


@pytest.fixture(scope="module")
def slurm(request, tmp_path_factory) -> Iterator[Slurm]:
    """A Slurm with so many nodes of so many cores each."""
    nodes, cores = request.param
    try:
        packages.ensure(DAEMONS)
    except (packages.MissingPackages, subprocess.CalledProcessError) as problem:
        pytest.skip(f"no Slurm on this machine: {problem}")
    folder = tmp_path_factory.mktemp("slurm")
    binds = nodes * cores <= CORES
    environment = outside_of_jobs(folder) | {"OMP_PROC_BIND": "close" if binds else "false"}
    started = call(str(CLUSTER), "start", str(nodes), str(cores), environment=environment)
    configuration = {"SLURM_CONF": started.split("SLURM_CONF=")[1].strip()}
    yield Slurm(environment | configuration, folder, binds)
    call(str(CLUSTER), "stop", environment=environment)


@pytest.fixture(scope="module")
def short_of_time(slurm, tmp_path_factory) -> tuple[int, Path, int]:
    """A job on two nodes whose time is up soon: its number, its results, and its tasks as Slurm counts them.

    Slurm looks at time limits every 30 s and sends the signal, wanted 60 s before it, up to 30 s early. Meanwhile
    tests go on, on the other nodes.
    """
    results = tmp_path_factory.mktemp("short") / "results"
    job = slurm.submit("run", *BRAITENBERG, "--out", results, shape="--ntasks=2 --cpus-per-task=1")
    slurm.wait_until(job, "brain ranks with")
    slurm.call("scontrol", "update", f"JobId={job}", "EndTime=now+90")
    counted = slurm.call("sstat", "--jobs", f"{job}.0", "--noheader", "--parsable2", "--format=NTasks")
    return job, results, int(counted)


@pytest.fixture
def stub(tmp_path) -> str:
    """A program in the place of Python: it says what it was asked to run."""
    program = tmp_path / "stub"
    program.write_text('#!/bin/sh\necho "asked: $*"\n')
    program.chmod(0o755)
    return str(program)


def brain_ranks(wanted: int) -> int:
    """As many as wanted; one if this NEST has no MPI."""
    return wanted if nest.is_mpi_build() else 1


def check_binding(slurm: Slurm, ranks: list[Rank], cores_each: int) -> None:
    """Every rank has so many cores, and none has a core of another."""
    if not slurm.binds:
        return
    assert [len(each.cores) for each in ranks] == [cores_each] * len(ranks), ranks
    assert len(frozenset().union(*(each.cores for each in ranks))) == cores_each * len(ranks), ranks


def check_summary(results: Path, brain: int, threads: int) -> None:
    """One world of the right size ran to its end, and each of its ranks told its memory."""
    summary = json.loads((results / "summary.json").read_text())
    assert summary["complete"]
    assert (summary["brain_ranks"], summary["threads_per_brain_rank"]) == (brain, threads)
    # NEST and what Python imports take 100 MB on a rank; the network of some hundred neurons takes few more.
    assert len(summary["peak_memory_mb"]) == 1 + brain
    assert all(80 < memory_mb < 1000 for memory_mb in summary["peak_memory_mb"])


@one_node
@pytest.mark.timeout(120)
def test_run_is_one_world_with_threads_on_cores_of_their_own(slurm, tmp_path):
    threads = max(1, CORES // 2)
    shape = f"--nodes=1 --ntasks=2 --cpus-per-task={threads}"
    job = slurm.run("run", *MOUSE, "--out", tmp_path / "results", shape=shape)
    assert job.code == 0, job.said
    assert [(each.rank, each.size) for each in job.ranks] == [(0, 2), (1, 2)]
    check_summary(tmp_path / "results", brain=1, threads=threads)
    if not slurm.binds:
        pytest.skip(f"2 ranks cannot have a core each: there are {CORES}")
    check_binding(slurm, job.ranks, threads)
    assert job.said.count("cpu-bind=MASK") == 2


@four_nodes
@pytest.mark.timeout(120)
def test_hetjob_gives_the_body_a_node_of_its_own_in_one_world(slurm, tmp_path):
    brain = brain_ranks(2)
    shape = f"--cpus-per-task=1 : --nodes={brain} --ntasks-per-node=1 --cpus-per-task=1"
    job = slurm.run("hetjob", *MOUSE, "--out", tmp_path / "results", shape=shape)
    assert job.code == 0, job.said
    assert [(each.rank, each.size) for each in job.ranks] == [(rank, 1 + brain) for rank in range(1 + brain)]
    assert len({each.node for each in job.ranks}) == 1 + brain
    check_binding(slurm, job.ranks, 1)
    check_summary(tmp_path / "results", brain, threads=1)


@four_nodes
@pytest.mark.timeout(120)
def test_cosim_run_in_an_allocation_takes_as_many_of_its_ranks_as_divide_the_virtual_processes(slurm, tmp_path):
    command = shlex.join([sys.executable, "-m", "cosim", "run", *MOUSE, "--out", str(tmp_path / "results")])
    options = [f"--output={slurm.folder / 'job-%j.log'}", "--ntasks=4", "--cpus-per-task=1", f"--wrap={command}"]
    job = slurm.wait(int(slurm.call("sbatch", "--parsable", *options)))
    assert job.code == 0, job.said
    brain = brain_ranks(2)  # of three, as mouse_m1 has four virtual processes
    assert f"{brain} in place of 3" in job.said or brain == 1
    assert [(each.rank, each.size) for each in job.ranks] == [(rank, 1 + brain) for rank in range(1 + brain)]
    check_summary(tmp_path / "results", brain, threads=4 // brain)


@two_nodes
@pytest.mark.timeout(240)
def test_scaling_runs_all_numbers_of_ranks_on_the_same_nodes(slurm, tmp_path):
    numbers = [1, 2][: brain_ranks(2)]
    job = slurm.run(
        "scaling",
        *["mouse_m1", "--steps", "2", "--set", "brain.patch_mm=0.1", "--repetitions", "1"],
        *["--ranks", ",".join(map(str, numbers)), "--out", tmp_path / "bench"],
        shape="--nodes=2 --ntasks-per-node=2 --cpus-per-task=1",
    )
    assert job.code == 0, job.said
    measured = json.loads((tmp_path / "bench/scaling.json").read_text())
    assert list(measured["by_ranks"]) == [str(number) for number in numbers]
    for number in numbers:
        ranks = [each for each in job.ranks if each.size == 1 + number]
        assert [each.node for each in ranks] == ["n1", "n2", "n2"][: 1 + number]
        check_binding(slurm, ranks, 1)


@four_nodes
@pytest.mark.usefixtures("short_of_time")
@pytest.mark.timeout(120)
def test_a_rank_that_is_killed_ends_the_job_within_10_s_and_costs_no_whole_step(slurm, recover, tmp_path):
    job = slurm.submit("run", *BRAITENBERG, "--out", tmp_path / "results", shape="--ntasks=2 --cpus-per-task=1")
    slurm.wait_until(job, "step ")
    body = json.loads((tmp_path / "results/shards/owner.json").read_text())["pid"]
    os.kill(body, signal.SIGKILL)
    killed = time.monotonic()
    ended = slurm.wait(job)
    assert time.monotonic() - killed < 10
    assert ended.code not in (0, 3)
    assert recover(tmp_path / "results") == 0
    assert json.loads((tmp_path / "results/summary.json").read_text())["steps"] > 0


@four_nodes
@pytest.mark.timeout(60)
def test_a_time_limit_that_ends_before_the_start_is_told(slurm, tmp_path):
    program = tmp_path / "slow_to_start"
    program.write_text("#!/bin/sh\nkill -USR1 $$\n")
    program.chmod(0o755)
    job = slurm.run("run", "braitenberg", shape="--ntasks=2 --cpus-per-task=1", PYTHON=str(program))
    assert job.code == 138
    assert "stopped before it had begun" in job.said


@four_nodes
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_time_limit_that_is_too_short_stops_the_run_with_complete_results(slurm, short_of_time):
    job, results, tasks = short_of_time
    ended = slurm.wait(job)
    assert ended.code == 3, ended.said
    assert "signal SIGUSR1" in ended.said
    assert "ask for more: sbatch --time=" in ended.said
    summary = json.loads((results / "summary.json").read_text())
    assert not summary["complete"]
    assert 0 < summary["steps"] < 10_000_000
    assert tasks == len(summary["peak_memory_mb"]) == 2


@four_nodes
@pytest.mark.timeout(60)
@both_jobs
def test_a_wrong_pmi_is_told_instead_of_running_many_worlds(slurm, script, shape):
    shape = " : ".join(f"{part} --cpus-per-task=1" for part in shape.split(" : "))
    job = slurm.run(script, "braitenberg", shape=shape, MPI="none")
    assert job.code == 2
    assert "the launcher started 3 ranks (SLURM_STEP_NUM_TASKS=3) but MPI sees a world of 1" in job.said
    assert "srun --mpi=pmi2" in job.said


@four_nodes
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "script, arguments, shape, message",
    [
        ("run", [], "--ntasks=2", "needs the name of an experiment"),
        ("run", ["braitenberg"], "--ntasks=1", "--ntasks=1: cosim needs 2 or more"),
        ("hetjob", [], "--ntasks=1 : --ntasks-per-node=1", "needs the name of an experiment"),
        ("hetjob", ["braitenberg"], "--nodes=2 --ntasks=2 : --nodes=1 --ntasks-per-node=1", "must be 1"),
        ("scaling", [], "--ntasks-per-node=1", "needs the name of an experiment"),
    ],
)
def test_a_script_says_what_it_needs(slurm, stub, script, arguments, shape, message):
    shape = " : ".join(f"{part} --cpus-per-task=1" for part in shape.split(" : "))
    job = slurm.run(script, *arguments, shape=shape, PYTHON=stub)
    assert job.code == 2
    assert message in job.said
    assert "asked:" not in job.said


@four_nodes
@pytest.mark.timeout(60)
def test_scaling_over_more_ranks_than_fit_says_how_many_do(slurm, tmp_path):
    arguments = ["braitenberg", "--ranks", str(brain_ranks(2) + 2), "--repetitions", "1", "--out", tmp_path]
    job = slurm.run("scaling", *arguments, shape="--ntasks-per-node=1 --cpus-per-task=1")
    assert job.code != 0
    assert "up to 2 brain ranks fit" in job.said


@four_nodes
@pytest.mark.timeout(60)
@both_jobs
@pytest.mark.parametrize(
    "arguments, expected",
    [
        (
            "mouse_m1 --set brain.virtual_processes=12",
            "--set brain.virtual_processes=2 mouse_m1 --set brain.virtual_processes=12",
        ),
        ("--resume results/mouse_m1/7", "--resume results/mouse_m1/7"),
        ("mouse_m1 --steps 9 --resume=results/mouse_m1/7", "mouse_m1 --steps 9 --resume=results/mouse_m1/7"),
        ("mouse_m1 --out again --replay results/mouse_m1/7", "mouse_m1 --out again --replay results/mouse_m1/7"),
    ],
)
def test_what_the_user_sets_comes_after_what_the_job_sets(slurm, stub, script, shape, arguments, expected):
    shape = " : ".join(f"{part} --cpus-per-task=1" for part in shape.split(" : "))
    job = slurm.run(script, *arguments.split(), shape=shape, PYTHON=stub)
    assert job.code == 0, job.said
    asked = [line for line in job.said.splitlines() if line.startswith("asked:")]
    assert asked == [f"asked: run.py {expected}"] * 3
