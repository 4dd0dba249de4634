# SPDX-License-Identifier: GPL-2.0-or-later
"""PyNEST scripts as brains: what becomes of their variables, their kernel settings and their errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, clean_environment

from cosim.engines.nest import script
from cosim.engines.nest.variable_names import assigned_name
from cosim.errors import ConfigurationError

pytestmark = pytest.mark.wheel

SCRIPTS = REPOSITORY / "tests" / "scripts"
SEED, VIRTUAL_PROCESSES = 11, 2
KERNEL = {
    "num_processes": 1,
    "total_num_virtual_procs": VIRTUAL_PROCESSES,
    "rng_seed": SEED,
    "resolution": 0.1,
    "print_time": False,
}

INLINE = {
    "dictionary": """
        import nest
        thalamus, cortex = nest.Create("iaf_psc_exp", 4), nest.Create("iaf_psc_exp", 6)
        noise = nest.Create("noise_generator")
        striatum, pallidum = nest.Create("iaf_psc_exp", 5), nest.Create("iaf_psc_exp", 2)
        gap = nest.Create("iaf_psc_exp", 3)
        populations = {
            "everything": thalamus + cortex,
            "cortex": cortex,
            "left": cortex[:3],
            "ganglia": striatum + pallidum,
            "L2/3": gap[1:2],
            "size": 21,
            "devices": cortex + noise,
            "scattered": thalamus[::2],
        }
        """,
    "no_dictionary": """
        import nest
        old = nest.Create("iaf_psc_exp", 3)
        nest.ResetKernel()
        populations = {"E": 3}
        pools = []
        for _ in range(3):
            pool = nest.Create("iaf_psc_exp", 2)
            pools.append(pool)
        same = twin = pools[0]
        meter, nothing = nest.Create("multimeter"), nest.NodeCollection()
        every_other = pools[1] + pools[2]
        mixed = pool + meter
        """,
    "other_resolution": """
        import nest
        nest.ResetKernel()
        nest.set(resolution=0.25, rng_seed=4)
        """,
    "raises": """
        import nest

        def build(size):
            return nest.Create("iaf_psc_exp", size, {"tau": 3.0})

        build(
            2
        )
        """,
    "name_error": """
        import nest
        cells = nest.Create("iaf_psc_exp")
        nest.Connect(cells, cels)
        """,
    "analysis_fails": """
        import nest
        cells = nest.Create("iaf_psc_exp", 2)
        try:
            nest.Simulate(10.0)
        finally:
            rate = 10.0 / cells.t_spike
        """,
    "evaluates": "x = 1\n        eval('x +')",
    "imports": "import broken_module",
    "broken_module": "x = 1\n        y = (2",
    "exits": "import sys, nest\n        nest.Create('iaf_psc_exp')\n        sys.exit('no data')",
    "no_neurons": "import nest\n        meter = nest.Create('multimeter')\n        nest.Simulate(1.0)",
    "surroundings": """
        import dataclasses, os, sys
        import random
        import matplotlib.pyplot as plt
        import nest
        import numpy as np
        import surroundings_helper

        @dataclasses.dataclass
        class Size:
            n: "int"

        assert __name__ == "__main__" and sys.argv == [__file__] and sys.modules["__main__"].Size is Size
        assert os.environ["MPLBACKEND"] == "Agg" and plt.get_backend().lower() == "agg"
        assert random.random() == random.Random(11).random()
        assert np.random.rand() == np.random.RandomState(11).rand()

        def of_no_future(x: int): ...

        assert of_no_future.__annotations__ == {"x": int}
        os.chdir("/")
        cells = nest.Create("iaf_psc_exp", Size(surroundings_helper.n).n)
        """,
    "surroundings_helper": "n = 3",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Holds the scripts of INLINE."""
    path = tmp_path_factory.mktemp("scripts")
    for name, text in INLINE.items():
        (path / f"{name}.py").write_text("\n".join(line.removeprefix(" " * 8) for line in text.split("\n")))
    return path


@pytest.fixture(scope="module")
def results(folder) -> dict[str, dict]:
    """What all scripts become, run one after the other in one process."""
    scripts = [name for name in INLINE if name not in ("broken_module", "surroundings_helper")]
    inline = [folder / f"{name}.py" for name in scripts]
    paths = [SCRIPTS / "balanced.py", SCRIPTS / "columns.py", *inline]
    command = [sys.executable, SCRIPTS / "run_scripts.py", VIRTUAL_PROCESSES, SEED, *paths]
    environment = clean_environment()
    environment.pop("MPLBACKEND", None)
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return {path.stem: json.loads(line) for path, line in zip(paths, lines, strict=True)}


def sizes(collections: dict[str, list[int]]) -> dict[str, int]:
    return {name: len(ids) for name, ids in collections.items()}


def test_what_the_experiment_sets_up_stays_whatever_scripts_do(results):
    assert {name: result["kernel"] for name, result in results.items()} == dict.fromkeys(results, KERNEL)
    for result in results.values():
        assert result["restored"] and result["time_ms"] == 1.0


def test_module_level_variables_name_populations_and_sums_and_slices_are_aliases(results):
    balanced = results["balanced"]
    assert balanced["populations"] == {"nodes_ex": list(range(1, 81)), "nodes_in": list(range(81, 101))}
    assert sizes(balanced["aliases"]) == {"neurons": 100, "recorded": 50}


def test_settings_that_are_the_experiments_are_left_out_and_told_with_both_values_others_act(results):
    assert results["balanced"]["notes"] == [
        "balanced.py, line 10: rng_seed = 33 is left out: seed = 11 decides",
        "balanced.py, line 11: local_num_threads = 3 is left out: brain.virtual_processes = 2 decides",
        "balanced.py, line 28: the network is complete; what comes after is not run",
    ]
    assert results["balanced"]["overwrite_files"]


def test_a_network_of_functions_and_classes_is_named_after_what_its_code_assigns(results):
    columns = results["columns"]
    assert sizes(columns["populations"]) == {
        **{"relay": 4, "layers_1": 4, "layers_2": 4, "band_1": 1, "band_2": 1},
        **{"basket": 2, "L5_PT": 4, "martinotti": 3, "iaf_psc_exp": 1},
    }
    assert columns["aliases"] == {}


def test_a_script_that_does_not_let_itself_be_ended_is_ended(results):
    for name, line in (("columns", 31), ("analysis_fails", 5)):
        end = f"{name}.py, line {line}: the network is complete; what comes after is not run"
        assert results[name]["notes"] == [end]


def test_a_dictionary_says_what_the_populations_are(results):
    assert results["dictionary"]["populations"] == {
        "thalamus": [1, 2, 3, 4],
        "cortex": [5, 6, 7, 8, 9, 10],
        "ganglia": [12, 13, 14, 15, 16, 17, 18],
        "gap_rest_1": [19],
        "L2_3": [20],
        "gap_rest_2": [21],
    }
    assert list(results["dictionary"]["populations"])[:3] == ["thalamus", "cortex", "ganglia"]
    assert sizes(results["dictionary"]["aliases"]) == {"everything": 10, "left": 3, "scattered": 2}


def test_names_that_occur_more_than_once_are_numbered_and_stale_or_mixed_nodes_have_no_name(results):
    found = results["no_dictionary"]
    assert found["populations"] == {"same": [1, 2], "pool_1": [3, 4], "pool_2": [5, 6]}
    assert found["aliases"] == {"pool": [5, 6], "twin": [1, 2], "every_other": [3, 4, 5, 6]}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("other_resolution", "line 4: sets the resolution to 0.25 ms, but clock.resolution_ms = 0.1: set"),
        ("raises", "line 5: UnaccessedDictionaryEntry: Unaccessed elements in params"),
        ("name_error", "line 4: NameError: name 'cels' is not defined"),
        ("evaluates", "evaluates.py, line 2: SyntaxError: invalid syntax"),
        ("imports", "broken_module.py, line 2: SyntaxError: '(' was never closed"),
        ("exits", "line 3: exits with 'no data' before its network is complete"),
        ("no_neurons", "no_neurons.py: creates no neurons"),
    ],
)
def test_errors_name_file_line_and_cause(results, folder, name, message):
    error = results[name]["error"]
    assert message in error
    assert error.startswith(str(folder))


def test_errors_inside_functions_tell_the_calls_on_the_way(results, folder):
    source = 'return nest.Create("iaf_psc_exp", size, {"tau": 3.0})'
    assert results["raises"]["error"].splitlines()[1:] == [
        f"  {folder}/raises.py, line 7, in <module>: build(",
        f"  {folder}/raises.py, line 5, in build: {source}",
    ]


def test_a_script_finds_what_it_would_find_if_python_ran_it(results):
    assert results["surroundings"].get("error") is None
    assert results["surroundings"]["populations"] == {"cells": [1, 2, 3]}


def test_check_finds_a_script_that_is_not_there_or_does_not_compile(folder):
    script.check(SCRIPTS / "columns.py")
    with pytest.raises(ConfigurationError, match=r"absent.py: No such file .*; must be a PyNEST script"):
        script.check(folder / "absent.py")
    with pytest.raises(ConfigurationError, match=r"broken_module.py, line 2: SyntaxError: '\(' was never"):
        script.check(folder / "broken_module.py")
    (folder / "nulls.py").write_bytes(b"x = 1\0")
    with pytest.raises(ConfigurationError, match=r"nulls.py: .*null bytes"):
        script.check(folder / "nulls.py")


def call() -> str | None:
    """The name that the statement with this call gives it."""
    frame = sys._getframe(1)
    return assigned_name(iter([frame, frame.f_back]))


def handed_on() -> str | None:
    return call()


def test_the_name_of_a_call_is_that_of_its_statement():
    plain = call()
    typed: str = call()
    [first, _] = call(), 2
    left, right = 1, call()
    cells = {"E": call(), 5: call()}
    cells["I"] = call()
    cells[6] = [call() for _ in range(1)]
    again = handed_on()
    assert (plain, typed, left, right, again) == ("plain", "typed", 1, "right", "again")
    assert cells == {"E": "E", 5: "5", "I": "I", 6: ["cells"]}
    assert first is None
    assert call() is None
