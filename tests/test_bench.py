# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim bench`` as users run it, at reduced size: what it writes, if that fits together, what it refuses.

No test looks at how long something took: only at what must hold on any machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import REPOSITORY, clean_environment

from cosim.bench import costs, coupling, energy, prediction, readme, record, scaling
from cosim.bench.paper import published
from cosim.bench.spread import spread
from cosim.engines.nest.nestlink import find_nest
from cosim.errors import ConfigurationError
from cosim.experiment.config import load

SMALL = ("--set", "brain.patch_mm=0.1", "--threads", 1)
RANKS = 2 if find_nest().has_mpi else 1


def bench(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "cosim.cli", "bench", *map(str, arguments)]
    environment = clean_environment(COLUMNS="120")
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120)


def measured(folder: Path, name: str, *arguments: object) -> dict:
    """The JSON of a benchmark that must succeed and leave file and figure, and nothing else."""
    done = bench(name, *arguments, "--out", folder, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result == json.loads((folder / f"{name}.json").read_text())
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.json", f"{name}.png"]
    assert result["benchmark"] == name
    machine = result["machine"]
    assert machine["cores"] >= 1 and machine["memory_gb"] > 0 and len(machine["load_average"]) == 3
    assert machine["versions"]["nest"].startswith("3.10")
    return result


def positive(*spreads: dict[str, float]) -> bool:
    return all(0 < each["min"] <= each["median"] <= each["max"] for each in spreads)


@pytest.mark.wheel
@pytest.mark.starts
def test_coupling_compares_the_same_spikes(tmp_path):
    times = ("--simulate-ms", 60, "--warm-up-ms", 30, "--repetitions", 2)
    result = measured(tmp_path, "coupling", "mouse_m1", *SMALL, "--steps-ms", "20,1.5", *times)
    assert list(result["ratio_to_uninterrupted"]) == ["20", "1.5"]
    long, short = result["by_step_ms"].values()
    # Steps of the smallest delay leave NEST as it is; 20 ms are no multiple.
    assert result["untouched_min_delay_ms"] == short["min_delay_ms"] == 1.5
    assert 20 % long["min_delay_ms"] == 0
    for each in (long, short):
        assert each["same_spikes"] and each["spikes"]["min"] > 0
        times_us = [each[name] for name in ("coupling_us", "run_us", "record_us", "body_us")]
        ratios = [each[f"ratio_to_{other}"] for other in ("uninterrupted", "untouched_min_delay")]
        assert positive(*ratios, *times_us)
        assert 0 < each["coupling_fraction"]["median"] < 1
    assert long["run_us"]["min"] > short["run_us"]["min"]
    assert result["coupling_us_per_step"] == long["coupling_us"]["median"]
    assert result["record_us_per_step"] < long["run_us"]["median"]
    assert len(result["peak_memory_mb"]) == 2


@pytest.mark.starts
def test_coupling_over_ranks_with_many_sinks_says_what_ran(tmp_path):
    times = ("--simulate-ms", 60, "--warm-up-ms", 30, "--repetitions", 1, "--steps-ms", 6)
    result = measured(tmp_path, "coupling", "mouse_m1", *SMALL, "--ranks", RANKS, "--sinks", 300, *times)
    assert (result["network"]["sinks"], result["network"]["sources"]) == (300, 3)
    assert (result["brain_ranks"], result["threads_per_brain_rank"]) == (RANKS, 1)
    assert len(result["peak_memory_mb"]) == 1 + RANKS
    assert result["by_step_ms"]["6"]["same_spikes"]


@pytest.mark.starts
def test_body_has_a_bare_engine_beside_it(tmp_path):
    result = measured(tmp_path, "body", "--repetitions", 1)
    rigid, bare = result["rigid_us_per_step"], result["bare_engine_us_per_step"]
    assert 0 < bare < rigid
    assert result["elastic_us_per_step"] > bare
    assert result["times_real_time"] == pytest.approx(1000 / rigid)
    assert positive(*result["startup_s"].values())


@pytest.mark.wheel
@pytest.mark.starts
def test_build_draws_the_same_tables_in_both_ways(tmp_path):
    result = measured(tmp_path, "build", "mouse_m1", *SMALL, "--repetitions", 1)
    own, nests = result["synapses"]["nestlink"], result["synapses"]["nest"]
    assert own == pytest.approx(nests, rel=0.02)
    assert result["speedup_connect"] > 0
    for phases in result["phases_s"].values():
        assert set(phases) == {"create", "connect", "drive", "devices", "prepare"}
        assert positive(*phases.values())


@pytest.mark.wheel
@pytest.mark.starts
def test_record_counts_spikes_and_bytes(tmp_path):
    sizes = ("--neurons", 500, "--rates-hz", "20,200", "--steps", 10, "--repetitions", 1)
    result = measured(tmp_path, "record", *sizes)
    # 500 neurons for 0.2 s, within four standard deviations of a Poisson count.
    assert result["spikes"]["20"]["median"] == pytest.approx(2000, abs=180)
    assert result["spikes"]["200"]["median"] == pytest.approx(20000, abs=570)
    # A time and an id of 8 bytes each, and what files have besides.
    assert result["shard_bytes_per_spike"]["min"] > 16 and result["merged_bytes_per_spike"]["min"] > 16


@pytest.mark.starts
def test_scaling_has_the_published_runs_beside_it(tmp_path):
    ranks = ",".join(str(each) for each in range(1, RANKS + 1))
    shape = ("--ranks", ranks, "--steps", 3, "--repetitions", 1)
    result = measured(tmp_path, "scaling", "mouse_m1", *SMALL, *shape)
    assert list(result["by_ranks"]) == ranks.split(",")
    for each in result["by_ranks"].values():
        assert each["real_time_factor_of_paper"]["median"] == pytest.approx(0.02 / each["step_s"]["median"], rel=1e-6)
        steps_s = each["first_step_s"]["median"] + 2 * each["step_s"]["median"]
        assert each["real_time_factor"]["median"] == pytest.approx(3 * 0.02 / steps_s, rel=1e-6)
        parts = [each[name]["median"] for name in ("create_s", "connect_s", "prepare_s", "loop_s")]
        assert sum(parts) < each["runtime_s"]["median"]
        assert each["nodes"] == 1
        assert each["node_hours"]["median"] == pytest.approx(each["runtime_s"]["median"] / 3600)
        of_rank, of_node = each["memory_per_process_mb"], each["memory_per_node_mb"]
        assert of_node["median"] > of_rank["median"]
        assert all(len(times) == 3 for times in each["profile"].values())
        assert each["energy_j"] == "not available" or positive(each["energy_j"])
    assert result["published"]["processes"] == [1, 2, 4, 8, 16, 32, 64]


@pytest.mark.starts
def test_rest_gives_speed_ups_in_both_ways(tmp_path):
    if not find_nest().has_mpi:
        pytest.skip("nest-server-mpi needs NEST with MPI")
    for module in ("flask", "flask_cors", "RestrictedPython", "docopt"):
        pytest.importorskip(module)
    shape = ("--ranks", 2, "--steps", 2, "--repetitions", 1)
    result = measured(tmp_path, "rest", "mouse_m1", *SMALL, *shape)
    costs_us = {name: each["median"] for name, each in result["coupling_us_per_step"].items()}
    # One call for 19 sinks and 3 sources is cheaper than 22 and one for Simulate.
    assert 0 < costs_us["batched"] < costs_us["per_device_calls"]
    assert result["speedup_batched"] == pytest.approx(costs_us["batched"] / costs_us["cosim"])
    assert result["speedup_per_device_calls"] > result["speedup_batched"]


@pytest.mark.slow
@pytest.mark.starts
def test_model_is_fitted_to_runs_and_predicts_the_full_size(tmp_path):
    kinds = ("--sizes", "0.1,0.12,0.15", "--ranks", 1, "--threads", "1,2", "--set", 'brain.regions=["M1"]')
    shape = ("--steps", 2, "--repetitions", 1, "--full", 1.0)
    result = measured(tmp_path, "model", "rodent_rest", *kinds, *shape)
    assert len(result["points"]) == 6
    assert all(constant >= 0 for each in result["constants"].values() for constant in each.values())
    # Memory is counted from tables, not fitted.
    assert result["fit_errors"]["memory"]["max"] < 0.15
    full = result["at_full_size"]["predictions"]
    assert [each["ranks"] for each in full] == [1, 2, 4, 8, 16, 32, 64]
    assert full[0]["bytes_per_rank"] > 100 * full[-1]["bytes_per_rank"] / 64


def loads() -> list[costs.Load]:
    """Networks of several sizes on several splits."""
    sizes = [(1000, 2e5), (2000, 8e5), (4000, 3e6)]
    shapes = [(ranks, threads) for ranks in (1, 2, 4) for threads in (1, 3)]
    return [
        costs.Load(neurons, synapses, 2.0 + ranks, ranks, threads, 20.0, 0.1, 1.5)
        for neurons, synapses in sizes
        for ranks, threads in shapes
    ]


def test_a_fit_finds_the_constants_that_made_the_times():
    constants = {
        "run_s": {"update": 2e-8, "delivery": 3e-9, "receipt": 1e-7, "round": 2e-5, "communication": 1e-5},
        "coupling_s": {"step": 1e-4, "communication": 3e-5},
        "build_s": {"start": 0.1, "neurons": 1e-5, "synapses": 2e-7},
        "prepare_s": {"start": 0.01, "synapses": 1e-8},
    }
    times = [costs.predict(constants, load) for load in loads()]
    found = costs.fit(loads(), {name: [each[name] for each in times] for name in costs.QUANTITIES})
    for name, terms in constants.items():
        assert found[name] == pytest.approx(terms, rel=1e-6)


def test_a_model_predicts_an_experiment_on_other_machines():
    constants = {name: dict.fromkeys(terms, 0.0) for name, terms in costs.QUANTITIES.items()}
    constants["run_s"]["update"] = 1e-6
    model = {"constants": constants, "rate_hz": 1.0, "min_delay_ms": 1.0, "fit_errors": {}}
    asked = prediction.parse("nodes=2,ranks=4,threads=9")
    found = prediction.describe(load("mouse_m1"), asked, model)
    # 3744 neurons on 36 virtual processes, 200 time steps of 1 us for each of them in a coupling step.
    assert found["run_s"] == pytest.approx(3744 / 36 * 200 * 1e-6)
    assert found["real_time_factor_of_paper"] == pytest.approx(0.02 / found["run_s"])
    assert found["bytes_per_node"] == 2 * found["bytes_per_rank"]


@pytest.mark.parametrize("text", ["nodes=2", "nodes=2,ranks=4,threads=0", "nodes=3,ranks=4,threads=1", "x"])
def test_an_allocation_that_makes_no_sense_is_refused(text):
    with pytest.raises(ConfigurationError, match=f"--predict {text}: "):
        prediction.parse(text)


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> tuple[Path, str]:
    """A folder with the results of a benchmark, ``one.json``, and what it printed."""
    folder = tmp_path_factory.mktemp("shown")
    short = ("--neurons", 50, "--steps", 2, "--repetitions", 1)
    done = bench("record", *short, "--out", folder, "--name", "one")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_a_table_names_what_was_measured(told):
    folder, shown = told
    assert "shards, bytes per spike" in shown and "merge" in shown and "cores" in shown
    assert str(folder / "one.json") in shown


def test_readme_gets_the_numbers_of_the_files_between_its_marks(told):
    folder, _ = told
    readme_file = folder / "README.md"
    readme_file.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    write = ["readme", "--from", folder, "--into", readme_file]
    no_place = ["readme", "--from", folder, "--into", folder / "one.json"]
    nothing = ["readme", "--from", folder / "nowhere"]
    *written, no_place, nothing = call_all(write, write, no_place, nothing)
    # The second time it replaces what the first one wrote.
    assert [(code, err) for code, _, err in written] == [(0, ""), (0, "")]
    assert_refused("no place for the results", *no_place)
    assert_refused("no results", *nothing)
    text = readme_file.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert text.count(readme.BEGIN) == text.count(readme.TITLES["record"]) == 1
    result = json.loads((folder / "one.json").read_text())
    assert result["machine"]["cpu"] in text and "(one.png)" in text
    assert all(f"| {' | '.join(row)} |" in text for row in record.rows(result))


REFUSED = [
    ("--steps-ms 7: must be positive and divide", ["coupling", "mouse_m1", "--steps-ms", "7"]),
    ("--warm-up-ms 0: must be positive", ["coupling", "mouse_m1", "--warm-up-ms", 0]),
    ("--sinks 5: must be 19", ["coupling", "mouse_m1", "--sinks", 5]),
    ("--repetitions 0: must be 1 or more", ["body", "--repetitions", 0]),
    ("must be 6 or more", ["model", "mouse_m1", "--sizes", "0.1,0.2"]),
    ("must have a brain of one of the sizes", ["model", "braitenberg"]),
    ("--name a/b: must be a name", ["body", "--name", "a/b"]),
    ("--ranks 0: must be 1 or more", ["coupling", "mouse_m1", "--ranks", 0]),
    ("has no experiment.toml; allowed:", ["coupling", "no_such_experiment"]),
    ("brain.patch_mm", ["coupling", "mouse_m1", "--set", "brain.patch_mm=-1"]),
    ("its brain is a script", ["build", "braitenberg"]),
    ("--rates-hz 200,20: must be two rates above 0", ["record", "--rates-hz", "200,20"]),
    ("--steps 1: must be 2 or more", ["scaling", "mouse_m1", "--ranks", 1, "--steps", 1]),
    ("'two': must be whole numbers with commas", ["scaling", "mouse_m1", "--ranks", "two"]),
    ("'5,fast': must be numbers with commas", ["coupling", "mouse_m1", "--steps-ms", "5,fast"]),
    ("invalid choice: 'ode'", ["body", "--engine", "ode"]),
]
# All in one process, as it takes a second to start: prints exit code, output and messages of each.
CALL_ALL = """
import contextlib, io, json, sys
from cosim.cli import main
def call(arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(["bench", *arguments])
        except SystemExit as end:
            code = end.code
    return code, out.getvalue(), err.getvalue()
print(json.dumps([call(arguments) for arguments in json.loads(sys.argv[1])]))
"""


def call_all(*calls: Sequence[object]) -> list[tuple[int, str, str]]:
    """Exit code, output and messages of ``cosim bench`` with each of these arguments."""
    words = json.dumps([list(map(str, arguments)) for arguments in calls])
    command = [sys.executable, "-c", CALL_ALL, words]
    done = subprocess.run(command, cwd=REPOSITORY, env=clean_environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_refused(message: str, code: int, out: str, err: str) -> None:
    assert (code, out) == (2, ""), err
    assert message in err and "Traceback" not in err


def test_bad_arguments_are_refused_with_what_is_allowed(tmp_path):
    (tmp_path / "file").write_text("")
    refused = [(message, [*arguments, "--out", tmp_path / "out"]) for message, arguments in REFUSED]
    refused += [("must be a folder that can be written", ["body", "--out", tmp_path / "file" / "out"])]
    found = call_all(*(arguments for _, arguments in refused))
    for (message, _), each in zip(refused, found, strict=True):
        assert_refused(message, *each)
    assert not list(tmp_path.glob("out/*.json"))


def test_ratios_are_within_repetitions():
    """Each block of the loop belongs to the uninterrupted one with its seed."""
    quantities = dict.fromkeys(coupling.QUANTITIES, 1.0) | {"min_delay_ms": 1.0, "phases_us": {}}
    run, loop = {"in_loop": False}, {"in_loop": True, "step_ms": 20.0, **quantities}
    blocks = [
        {"repetition": 0, "step_ms": 0.0, "seconds": 0.6, "spikes": 9, **run},
        {"repetition": 0, "step_ms": 20.0, "seconds": 1.0, "spikes": 10, **run},
        {"repetition": 1, "step_ms": 20.0, "seconds": 2.0, "spikes": 20, **run},
        {"repetition": 1, "step_ms": 0.0, "seconds": 1.1, "spikes": 21, **run},
        {"repetition": 1, "seconds": 2.2, "spikes": 20, **loop},
        {"repetition": 0, "seconds": 1.2, "spikes": 12, **loop},
    ]
    each = coupling.of_step(20.0, blocks)
    assert each["ratio_to_uninterrupted"] == pytest.approx({"median": 1.15, "min": 1.1, "max": 1.2})
    assert each["ratio_to_untouched_min_delay"] == pytest.approx({"median": 2.0, "min": 2.0, "max": 2.0})
    assert not each["same_spikes"]


def test_cost_of_a_spike_is_the_difference_of_two_rates():
    block = {"merge_s": 1.0, "shard_bytes": 1, "merged_bytes": 1, "run_us": 100.0}
    blocks = [
        block | {"rate_hz": 20.0, "recorded": True, "spikes": 2000, "record_us": 50.0},
        block | {"rate_hz": 200.0, "recorded": True, "spikes": 20000, "record_us": 86.0, "run_us": 140.0},
        block | {"rate_hz": 200.0, "recorded": False, "spikes": 0, "record_us": 10.0},
    ]
    options = SimpleNamespace(ranks=2, threads=1, neurons=1, steps=10, rates_hz=[20.0, 200.0])
    result = record.summarize(options, blocks)
    # 900 spikes more for each rank and step take 36 us more.
    assert result["record_ns_per_spike"]["median"] == pytest.approx(40.0)
    assert result["run_ns_per_spike"]["median"] == pytest.approx(40.0)


def test_costs_of_a_run_are_by_machine_and_without_the_first_step():
    profile = dict.fromkeys(("step_s", "brain_step_s", "body_step_s", "transfer_s"), [9.0, 1.0, 3.0])
    run = {
        "hosts": ["one", "one", "two"],
        "memory_mb": [100.0, 400.0, 300.0],
        "wall_s": {"create": 1.0, "connect": 2.0, "drive": 0.5, "prepare": 4.0, "loop": 8.0},
        "profile": profile | {"run_s": [9.0, 1.0, 2.5]},
        "coupling_step_s": 0.02,
        "real_time_factor": 0.004,
        "real_time_factor_of_paper": 0.01,
        "coupling_fraction": 0.1,
        "energy_j": None,
        "runtime_s": 3600.0,
    }
    cost = scaling.cost(run)
    assert (cost["real_time_factor"], cost["real_time_factor_of_paper"], cost["step_s"]) == (0.004, 0.01, 2.0)
    assert cost["first_step_s"] == pytest.approx(3 * 0.02 / 0.004 - 2 * 2.0)
    assert (cost["memory_per_process_mb"], cost["memory_per_node_mb"]) == (400.0, 500.0)
    assert (cost["node_hours"], cost["process_hours"]) == (2.0, 2.0)
    assert (cost["build_s"], cost["last_step_s"], cost["energy_j"]) == (3.5, 2.5, None)


def powercap(folder: Path, energy_uj: int) -> Path:
    """The kernel's powercap interface with one package and a part of it."""
    for name in ("intel-rapl:0", "intel-rapl:0:0"):
        zone = folder / name
        zone.mkdir(exist_ok=True)
        (zone / "energy_uj").write_text(f"{energy_uj}\n")
        (zone / "max_energy_range_uj").write_text("10000000\n")
    return folder


def test_energy_counters_start_again_at_their_range(tmp_path):
    meter = energy.Meter(powercap(tmp_path, 9_000_000))
    powercap(tmp_path, 2_000_000)
    assert meter.joules() == pytest.approx(3.0)
    assert energy.Meter(tmp_path / "none").joules() is None


def test_published_numbers_are_those_of_the_paper():
    full = published("mouse_brain")
    # Connections on one process; the real-time factor that 64 processes would have without coupling.
    assert full["connections"] == 1_588_456_283
    assert full["real_time_factor_without_coupling"][-1] == pytest.approx(0.167, abs=5e-4)
    assert published("braitenberg") is None


def test_spread_is_median_and_range():
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}


@pytest.mark.starts
def test_steering_is_measured_on_a_run_that_goes_on(tmp_path):
    result = measured(tmp_path, "steer", "--repetitions", 1)
    times = {name: each["median"] for name, each in result["times"].items()}
    assert times["channel_socket_ms"] < times["acts_socket_ms"], "a command acts when a step has ended"
    assert times["alone_us"] < times["loop_us"]
    assert result["loop_adds_us"] == pytest.approx(times["loop_us"] - times["alone_us"])
