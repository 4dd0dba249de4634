# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim describe``: what an experiment will build, told before it is built."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from conftest import REPOSITORY, clean_environment

from cosim.experiment.config import load
from cosim.tools.describe import describe
from models.rodent.network import network


def cosim(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "cosim.cli", *map(str, arguments)]
    environment = clean_environment(COLUMNS="120")
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def mouse() -> dict:
    result = cosim("describe", "mouse_m1", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_neurons_and_synapses_are_those_of_the_tables(mouse):
    assert {each["name"]: each["neurons"] for each in mouse["populations"]} == network().sizes
    assert {each["region"] for each in mouse["populations"]} == {"M1"}
    models = REPOSITORY / "models"
    assert (mouse["brain"], mouse["body"]) == (str(models / "rodent/network.py"), str(models / "forelimb/body.toml"))
    # Expected number of the published tables, computed apart from this code.
    assert mouse["regions"] == {"M1": {"neurons": 3744, "synapses": 7_240_888}}
    assert mouse["links"]["poisson"] == 3744 and mouse["links"]["relay"] == 0
    assert mouse["totals"]["neurons"] == 3744
    assert mouse["totals"]["synapses"] == 7_240_888 + 3744
    assert sum(each["synapses"] for each in mouse["projections"]) == pytest.approx(7_240_888, abs=1)
    assert all(0 <= each["standard_deviation"] ** 2 <= each["synapses"] for each in mouse["projections"])


def test_links_of_devices_are_those_of_sinks_and_sources(mouse):
    sizes = network().sizes
    driven = sizes["M1_L1_ENGC"] + sizes["M1_L23_CC"] + sizes["M1_L5A_CC"]
    assert mouse["links"]["devices"] == 3744 + driven


def test_ports_are_all_that_transfer_functions_may_ask_for(mouse):
    kinds = {each["name"]: each["kind"] for each in mouse["ports"]}
    assert kinds["M1_L5B_PT"] == "sink" and kinds["engc_source"] == "source" and kinds["muscles"] == "body"
    assert list(kinds.values()).count("sink") == 19
    (muscles,) = (each for each in mouse["ports"] if each["name"] == "muscles")
    assert "Humerus1" in muscles["has"]


def test_memory_is_for_the_split_that_was_asked_for(mouse):
    assert (mouse["memory"]["ranks"], mouse["memory"]["threads"]) == (1, 4)
    assert mouse["totals"]["bytes"] == mouse["memory"]["bytes"]
    # Measured: 487 MB of a brain rank.
    assert mouse["memory"]["bytes_per_rank"] == pytest.approx(487e6, rel=0.15)
    two = describe(load("mouse_m1"), ranks=2)["memory"]
    assert (two["ranks"], two["threads"]) == (2, 2)
    assert two["bytes_per_rank"] < mouse["memory"]["bytes_per_rank"]
    assert two["bytes"] == 2 * two["bytes_per_rank"] + two["body_bytes"]
    wide = describe(load("mouse_m1"), ranks=8, threads=16)["memory"]
    assert (wide["ranks"], wide["threads"]) == (8, 16)


def test_overrides_change_what_is_described():
    config = "brain.patch_mm=1.0", 'brain.variant="clean"'
    description = describe(load("mouse_m1", config))
    assert description["totals"]["neurons"] == 58_805
    assert description["regions"]["M1"]["synapses"] == 172_263_977


def test_the_whole_brain_counts_as_the_paper_does():
    # 1,588,469,795 in the text of Feldotto et al. 2022; the tables give a little less on average.
    description = describe(load("mouse_brain", ["brain.patch_mm=1.0", "brain.variant=as_run"]))
    assert description["totals"]["synapses"] == 1_588_416_712
    regions = sum(each["synapses"] for each in description["regions"].values())
    links = description["links"]["poisson"] + description["links"]["relay"]
    assert description["totals"]["synapses"] == pytest.approx(regions + links, abs=8)
    relays = {each["name"] for each in description["relays"]}
    assert relays and not relays & {each["name"] for each in description["populations"]}


def test_more_connections_than_nest_can_hold_are_told_with_the_virtual_processes_needed():
    experiment = load("mouse_brain", ["brain.patch_mm=1.0"])
    told = describe(experiment)["connections"]
    assert told["virtual_processes"] == 4 and told["largest_share"] > told["allowed"]
    needed = told["virtual_processes_needed"]
    enough = describe(experiment, ranks=1, threads=needed)["connections"]
    assert enough["largest_share"] <= enough["allowed"] and enough["virtual_processes_needed"] == needed
    shown = cosim("describe", "mouse_brain", "--set", "brain.patch_mm=1.0").stdout
    assert f"must be {needed} or more" in " ".join(shown.split())


def test_tables_for_people_hold_the_same_numbers():
    result = cosim("describe", "mouse_m1", "--projections")
    assert (result.returncode, result.stderr) == (0, "")
    for words in (
        "7,240,888",
        "M1_L5B_PT",
        "each of 1 brain ranks x 4 threads",
        "standard deviation",
        "joints",
    ):
        assert words in result.stdout


def test_projections_are_listed_only_on_demand():
    assert "standard deviation" not in cosim("describe", "mouse_m1").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no_such_experiment"], "no_such_experiment"),
        (["mouse_m1", "--set", "brain.patch_mm=7"], "--set brain.patch_mm: brain.patch_mm = 7"),
        (["mouse_m1", "--set", "brain.regions=['X1']"], "X1"),
        (["mouse_m1", "--set", "sources.0.population=M1_L9"], "M1_L9"),
        (["mouse_m1", "--ranks", "3"], "--ranks 3: does not divide brain.virtual_processes = 4"),
        (["mouse_m1", "--ranks", "0"], "--ranks 0: must be 1 or more"),
    ],
)
def test_mistakes_are_told_without_a_traceback(arguments, words):
    result = cosim("describe", *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("cosim: ") and words in result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""


def test_neither_nest_nor_pybullet_nor_mpi_is_started():
    program = (
        "import sys; from cosim import cli; cli.main(['describe', 'mouse_m1', '--json']);"
        "from mpi4py import MPI; assert not MPI.Is_initialized();"
        "assert not {'nest', 'pybullet'} & sys.modules.keys()"
    )
    command = [sys.executable, "-c", program]
    subprocess.run(command, cwd=REPOSITORY, env=clean_environment(), check=True, capture_output=True, timeout=60)


SCRIPT_EXPERIMENT = """
[clock]
steps = 1
[brain]
script = "brain.py"
[[sources]]
name = "light"
population = "eye"
weight = 1.0
delay_ms = 1.0
"""


def test_of_a_script_the_ports_are_told(tmp_path):
    (tmp_path / "experiment.toml").write_text(SCRIPT_EXPERIMENT)
    (tmp_path / "brain.py").write_text("raise RuntimeError('nothing is run')\n")
    description = describe(load(str(tmp_path)))
    assert description["script"] == str(tmp_path / "brain.py")
    assert [each["name"] for each in description["ports"]] == ["light"]
    shown = cosim("describe", tmp_path)
    assert shown.returncode == 0 and "The brain is a script" in shown.stdout
