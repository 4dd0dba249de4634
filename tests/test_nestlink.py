# SPDX-License-Identifier: GPL-2.0-or-later
"""nestlink: NEST on parts of the world, rates between Run calls, failures inside the kernel, and its build."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Launch

from cosim.engines.nest import kernel, nestlink
from cosim.engines.nest.nestlink import NestInstall, NestlinkError, build
from cosim.errors import ConfigurationError

NEST_ON_PART = "tests/programs/nest_on_part.py"


def run_part(launch, layout, network, virtual_processes, out):
    """One thread a rank wherever possible: more would only fight for the cores."""
    result = launch(len(layout), NEST_ON_PART, layout, network, virtual_processes, 11, out)
    assert result.returncode == 0, result.stderr


def assert_same(left: Path, right: Path):
    left, right = np.load(left), np.load(right)
    assert len(left["ids"]) > 100, "too few events to say anything"
    for name in set(left.files) - {"processes"}:
        np.testing.assert_array_equal(left[name], right[name])


@pytest.fixture(scope="module")
def plain_gap_junctions(tmp_path_factory) -> Callable[[Launch, int], Path]:
    """What NEST alone makes of the network on so many virtual processes, run once for each number."""
    folder = tmp_path_factory.mktemp("plain")

    def find(alone: Launch, virtual_processes: int) -> Path:
        file = folder / f"{virtual_processes}-0.npz"
        if not file.exists():
            out = folder / str(virtual_processes)
            result = alone(NEST_ON_PART, "plain", "gap_junctions", virtual_processes, 11, out)
            assert result.returncode == 0, result.stderr
        return file

    return find


@pytest.mark.parametrize("layout", [".0", ".00", ".000", "0.00.", "..0000"])
def test_gap_junctions_on_a_part_of_the_world_equal_a_plain_run(launch, alone, plain_gap_junctions, tmp_path, layout):
    brain_ranks = layout.count("0")
    run_part(launch, layout, "gap_junctions", brain_ranks, tmp_path / "part")
    assert np.load(tmp_path / "part-0.npz")["processes"] == brain_ranks
    assert_same(tmp_path / "part-0.npz", plain_gap_junctions(alone, brain_ranks))


def test_two_nests_side_by_side_in_one_world(launch, alone, tmp_path):
    run_part(launch, ".0101", "balanced", 2, tmp_path / "part")
    for group in (0, 1):
        out = tmp_path / f"plain{group}"
        result = alone(NEST_ON_PART, "plain", "balanced", 2, 11 + group, out)
        assert result.returncode == 0, result.stderr
        assert_same(tmp_path / f"part-{group}.npz", Path(f"{out}-0.npz"))
    first, second = (np.load(tmp_path / f"part-{group}.npz")["times"] for group in (0, 1))
    assert len(first) != len(second) or (first != second).any(), "both groups ran the same network"


@pytest.mark.wheel
@pytest.mark.parametrize("threads", [1, 3])
def test_rates_set_between_runs_act(alone, threads):
    result = alone("tests/programs/stepped_rates.py", threads)
    assert result.returncode == 0, result.stderr
    for line in result.stdout.splitlines():
        rate_hz, count = map(float, line.split())
        expected = rate_hz * 0.1 * 100  # 100 relays for 100 ms
        assert abs(count - expected) <= 5 * np.sqrt(expected), line


@pytest.mark.wheel
def test_a_journal_without_memory_fails_and_loses_nothing(alone):
    """Neither when spikes are taken over, nor when they come within a step."""
    result = alone("tests/programs/journal_without_memory.py")
    assert result.returncode == 0, result.stderr
    taken_over, within_a_step = result.stdout.splitlines()
    assert taken_over == "could not take over spikes: std::bad_alloc, then 2000000 of 2000000 whole spikes"
    failed, _, counts = within_a_step.partition(", then ")
    assert failed == "NEST could not advance by a step: std::bad_alloc"
    found = re.fullmatch(r"(\d+) of (\d+) whole spikes", counts)
    assert found and found[1] == found[2] and int(found[1]) > 0, counts


@pytest.mark.wheel
def test_a_nestlink_without_nests_threads_is_refused_when_nest_starts(alone, monkeypatch, tmp_path):
    """Before any network is built, so for brains that are scripts too. Compiled without OpenMP it has one thread."""
    nest = nestlink.find_nest()
    abi = json.loads((nestlink.find().parent / "build.json").read_text())["string_abi"]
    monkeypatch.setenv("COSIM_NESTLINK_FLAGS", "-O0 -fno-openmp")
    build.compile_library(nest, abi, tmp_path / "one_thread.so", [nestlink.FOLDER / "nestlink.cpp"])
    result = alone("tests/programs/start_nest.py", tmp_path / "one_thread.so", 2)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(
        "nestlink cannot work with NEST's threads: NEST has 2 threads and nestlink 1, of which 1 are the same: "
        "one was built without OpenMP"
    )


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COSIM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_missing_build_is_named_with_the_cure(empty_cache):
    with pytest.raises(NestlinkError, match="nestlink is not built, .*cosim.engines.nest.nestlink.build"):
        nestlink.find()


def test_build_for_another_nest_is_named(empty_cache):
    other = empty_cache / "nestlink" / "0123456789abcdef"
    other.mkdir(parents=True)
    (other / "build.json").write_text('{"nest": "NEST 3.9.0 without MPI in /elsewhere"}')
    with pytest.raises(NestlinkError, match="only against another NEST .NEST 3.9.0 without MPI in /elsewhere"):
        nestlink.find()


def test_library_of_another_nest_is_refused(alone, tmp_path):
    """What does not fit the kernel in memory is refused when it is loaded, not met as a crash later."""
    stranger = tmp_path / "nestlink.so"
    shutil.copy(np._core._multiarray_umath.__file__, stranger)
    with pytest.raises(NestlinkError, match="does not fit the NEST that is loaded"):
        nestlink.Nestlink(stranger)


def test_found_nest_says_what_it_is():
    nest = nestlink.find_nest()
    assert nest.version == "3.10.0"
    assert str(nest.folder) in str(nest)


def install(folder: Path, version: str) -> NestInstall:
    """What is known of a NEST of some version without importing it."""
    headers = folder / "include" / "nest"
    headers.mkdir(parents=True)
    (headers / "config.h").write_text(f'#define HAVE_MPI 1\n#define NEST_VERSION "{version}"\n')
    return NestInstall(folder)


def test_another_version_of_nest_is_refused_before_it_starts(monkeypatch, tmp_path):
    other = install(tmp_path, "3.11.0")
    monkeypatch.setattr(nestlink, "find_nest", lambda: other)
    with pytest.raises(ConfigurationError, match="NEST 3.11.0 with MPI in .*, but nestlink is written for NEST 3.10.0"):
        kernel.check(1, 1)
    with pytest.raises(NestlinkError, match="pip install nest-simulator==3.10.0"):
        build.build(other)


def test_a_nest_without_headers_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(nestlink, "find_nest", lambda: NestInstall(tmp_path))
    with pytest.raises(ConfigurationError, match=r"without its C\+\+ headers .*config.h: No such file"):
        kernel.check(1, 1)


def test_the_compiler_had_no_warnings():
    """The build says so of every unit, with -Wall and -Wextra."""
    assert {"-Wall", "-Wextra"} <= set(build.FLAGS)
    assert json.loads((nestlink.find().parent / "build.json").read_text())["warnings"] == ""


def test_flags_of_the_environment_reach_the_compiler_and_builds_lie_apart(monkeypatch, tmp_path):
    nest, plain = nestlink.find_nest(), nestlink.build_folder(nestlink.find_nest())
    monkeypatch.setenv("COSIM_NESTLINK_FLAGS", "-fno-such-flag")
    assert nestlink.build_folder(nest) != plain
    with pytest.raises(NestlinkError, match="-fno-such-flag"):
        build.compile_library(nest, 1, tmp_path / "nestlink.so")


def test_no_compiler_is_one_clear_message(monkeypatch, tmp_path):
    monkeypatch.setattr(build.shutil, "which", lambda name, path: None)
    with pytest.raises(NestlinkError, match="no C\\+\\+ compiler found .*looked for"):
        build.compiler(NestInstall(nestlink.find_nest().folder))
