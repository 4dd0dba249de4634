# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts on a part of the world: their spikes, stepped by cosim, are those that NEST alone gives.

NEST's own examples run as copies of what is installed, in which only numbers of neurons, synapses and threads
are smaller.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from cosim.engines.nest import nestlink

STEP_SCRIPT, SIMULATE_SCRIPT = "tests/scripts/step_script.py", "tests/scripts/simulate_script.py"
STEP_MS, STEPS = 15.0, 3  # a multiple of all the scripts' smallest delays: others change the random numbers
NEST_SEED = 143202461  # NEST's own
EXAMPLES = nestlink.find_nest().folder / "doc" / "examples" / "pynest"


@pytest.fixture
def compare(launch, alone, tmp_path):
    """Run a script both ways, check that the spikes are the same, and return what cosim made of it."""

    def run(script: Path, brain_ranks: int, virtual_processes: int, seed: int) -> dict[str, np.ndarray]:
        stepped, plain = tmp_path / "stepped.npz", tmp_path / "plain.npz"
        arguments = virtual_processes, seed, STEP_MS, STEPS, stepped
        result = launch(brain_ranks + 1, STEP_SCRIPT, script, *arguments)
        assert result.returncode == 0, result.stderr
        assert "traceback" not in result.stderr.lower()
        result = alone(SIMULATE_SCRIPT, script, virtual_processes, seed, STEP_MS * STEPS, plain)
        assert result.returncode == 0, result.stderr
        stepped, plain = np.load(stepped), np.load(plain)
        assert plain["ids"].size > 100, "too few spikes to say anything"
        for name in ("ids", "times"):
            np.testing.assert_array_equal(stepped[name], plain[name])
        assert (stepped["processes"], stepped["virtual_processes"]) == (brain_ranks, virtual_processes)
        return dict(stepped)

    return run


def sizes(brain: dict[str, np.ndarray]) -> dict[str, int]:
    return dict(zip(brain["names"].tolist(), brain["sizes"].tolist(), strict=True))


def smaller(example: str, folder: Path, **replaced: str) -> Path:
    """A copy of an example in which each ``name = number`` or ``"name": number`` has another number."""
    text = (EXAMPLES / example).read_text()
    for name, value in replaced.items():
        setting = re.compile(rf'^( *"?{name}"?(?: =|:) )[\w.() *"\[\]/]+', re.MULTILINE)
        text, count = setting.subn(rf"\g<1>{value}", text)
        assert count == 1, f"{example} has {count} lines that set {name}"
    (folder / Path(example).name).write_text(text)
    return folder / Path(example).name


@pytest.mark.parametrize(("brain_ranks", "virtual_processes"), [(1, 3), (3, 3)])
def test_a_script_that_resets_the_kernel_gives_the_same_spikes(compare, brain_ranks, virtual_processes):
    brain = compare(Path(__file__).parent / "scripts" / "balanced.py", brain_ranks, virtual_processes, 33)
    assert sizes(brain) == {"nodes_ex": 80, "nodes_in": 20}


@pytest.mark.parametrize(("model", "threads"), [("alpha", 2), ("delta", 2), ("exp_multisynapse", 4)])
def test_brunel_networks_of_nests_examples(compare, tmp_path, model, threads):
    """The last one sets four threads itself."""
    brain = compare(smaller(f"brunel_{model}_nest.py", tmp_path, order="150"), 2, threads, NEST_SEED)
    assert sizes(brain) == {"nodes_ex": 600, "nodes_in": 150}


def test_nests_benchmark_with_plastic_synapses(compare, tmp_path):
    """At full size it has 126 million synapses."""
    fewer = {"scale": "0.05", "CE": "900", "CI": "225", "Nrec": "100", "num_threads": "2"}
    brain = compare(smaller("hpc_benchmark.py", tmp_path, **fewer), 2, 2, NEST_SEED)
    assert sizes(brain) == {"E_neurons": 450, "I_neurons": 112}


def test_the_clustered_network_of_nests_examples(compare, tmp_path):
    """A class in a module beside the script holds its populations."""
    for name in ("run_simulation", "network", "helper", "stimulus_params"):
        smaller(f"EI_clustered_network/{name}.py", tmp_path)
    smaller("EI_clustered_network/network_params.py", tmp_path, N_E="1000", N_I="240")
    smaller("EI_clustered_network/sim_params.py", tmp_path, n_vp="2")
    brain = compare(tmp_path / "run_simulation.py", 2, 2, 55)
    expected = {f"E_pops_{number}": 50 for number in range(1, 21)}
    assert sizes(brain) == expected | {f"I_pops_{number}": 12 for number in range(1, 21)}


def test_on_several_ranks_a_script_prints_once_and_keeps_the_kernels_settings(launch):
    balanced = Path(__file__).parent / "scripts" / "balanced.py"
    result = launch(2, "tests/scripts/run_scripts.py", 4, 5, balanced)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("Building is done") == 1
    assert '"total_num_virtual_procs": 4, "rng_seed": 5,' in result.stdout
    assert '"num_processes": 2' in result.stdout
