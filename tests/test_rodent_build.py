# SPDX-License-Identifier: GPL-2.0-or-later
"""Regions built in NEST with its own rules: counts against exact expectations, weights, drives, seeds.

Each build runs in a process of its own: NEST is one global kernel, and under an MPI launcher it must not
start before the communicator is handed over.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import clean_environment

from cosim.network.network import drive_links, expected_synapses, synapse_variance
from cosim.network.rules import OneToOne
from cosim.results.run_data import RunData
from models.rodent.network import network

BUILD = """
import json, sys, zlib
import mpi4py.MPI  # a NEST with MPI takes the MPI library that this loads
import nest
import numpy as np
from functools import partial
from cosim.engines.nest import building, pynest_rules
from cosim.engines.nest.built_network import synapses_by_region
from models.rodent.network import network

variant, patch_mm, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
nest.verbosity = nest.VerbosityLevel.ERROR
nest.local_num_threads = 2
nest.rng_seed = seed
tables = network(variant=variant, patch_mm=patch_mm)
built = building.create(tables, nest, seed)
building.connect(built, partial(pynest_rules.connect, tables, nodes=built.nodes, nest=nest), nest)
before_drives = nest.num_connections
building.drive(built, nest)

def synapses(source, target):
    found = nest.GetConnections(built.nodes[source], built.nodes[target]).get(["source", "target", "weight"])
    order = np.lexsort((found["weight"], found["target"], found["source"]))  # threads report in any order
    return {name: np.array(values)[order] for name, values in found.items()}

sample = synapses("M1_L5A_CS", "M1_L5B_CC")
own = synapses("M1_L1_ENGC", "M1_L1_ENGC")
print(json.dumps({
    "neurons": sum(len(nodes) for nodes in built.nodes.values()),
    "by_projection": built.local_synapses,
    "by_region": synapses_by_region(built),
    "before_drives": before_drives,
    "drive_links": nest.num_connections - before_drives,
    "sample": zlib.crc32(np.array([sample["source"], sample["target"]]).tobytes()),
    "log_weights": np.log(sample["weight"]).tolist(),
    "autapses": int(sum(own["source"] == own["target"])),
    "v_m": {name: sorted(set(nodes.get("V_m"))) for name, nodes in built.nodes.items()},
    "g_l": {name: sorted(set(nodes.get("g_L"))) for name, nodes in built.nodes.items()},
    "first_position": list(nest.GetPosition(built.nodes["M1_L1_ENGC"][0])),
    "starts": list(nest.GetNodes({"model": "poisson_generator"}).get("start")),
}))
"""

# Flat and scattered regions; NEST has no rule for one-to-one links that leave some neurons out.
COUNT = """
import json, sys
import mpi4py.MPI
import nest
from dataclasses import replace
from functools import partial
from cosim.engines.nest import building, pynest_rules
from cosim.network.rules import OneToOne
from models.rodent.network import network

nest.verbosity = nest.VerbosityLevel.ERROR
nest.local_num_threads = 2
tables = network(("VL", "BG", "CB_M1"), sys.argv[1], float(sys.argv[2]))
drawn = tuple(each for each in tables.projections if not isinstance(each.rule, OneToOne))
tables = replace(tables, projections=drawn)
built = building.create(tables, nest, 1)
building.connect(built, partial(pynest_rules.connect, tables, nodes=built.nodes, nest=nest), nest)
before_drives = nest.num_connections
building.drive(built, nest)

print(json.dumps({
    "neurons": {name: len(nodes) for name, nodes in built.nodes.items()},
    "by_projection": built.local_synapses,
    "drive_links": nest.num_connections - before_drives,
    "v_m": {name: sorted(set(built.nodes[name].get("V_m"))) for name in ("TH_M1_IZ_RE", "CB_M1_gr", "MSN")},
    "tau_syn": [list(each) for each in built.nodes["FSI"].get("tau_syn")],
    "receptors": sorted(set(nest.GetConnections(target=built.nodes["STN"]).get("receptor"))),
}))
"""


def build(variant, patch_mm, seed):
    return run(BUILD, variant, patch_mm, seed)


def run(program, *arguments):
    environment = clean_environment(PYNEST_QUIET="1")
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def small():
    """M1 clean on 0.15 mm: 1,300 neurons, under two seconds."""
    return build("clean", 0.15, 1)


def test_all_nodes_and_links_are_there(small):
    tables = network(variant="clean", patch_mm=0.15)
    assert small["neurons"] == sum(population.size for population in tables.populations)
    assert small["drive_links"] == small["neurons"]
    assert small["by_region"] == {"M1": sum(small["by_projection"])} == {"M1": small["before_drives"]}
    assert small["autapses"] == 0


def test_parameters_positions_and_starts_arrive(small):
    tables = network(variant="clean", patch_mm=0.15)
    for name, population in tables.by_name.items():
        assert small["v_m"][name] == [population.v_m.draw_mv(name, seed=1)]
        assert small["g_l"][name] == [population.parameters["g_L"]]
    assert small["first_position"] == tables.by_name["M1_L1_ENGC"].layout.positions_mm[0].tolist()
    assert small["starts"] == [drive.start_ms for drive in tables.drives]


def test_lognormal_weights(small):
    log_weights = np.array(small["log_weights"])
    assert log_weights.mean() == pytest.approx(-0.72, abs=5 / np.sqrt(log_weights.size))
    assert log_weights.std() == pytest.approx(1.0, abs=5 / np.sqrt(2 * log_weights.size))


BASAL_GANGLIA = """
clock = {steps = 4, coupling_step_ms = 20.0}
brain = {model = "rodent", regions = ["BG"], variant = "clean", patch_mm = 0.2, virtual_processes = 1}
sources = [{name = "push", population = "GPe", weight = 50.0, delay_ms = 1.0, receptor = 1}]
"""
PUSH = """
from cosim import transfer_function

@transfer_function
def after_40_ms(push, t_ms):
    push.rate_hz = 5000.0 if t_ms >= 40 else 0.0
"""


def test_the_seed_decides_the_connections(small):
    assert build("clean", 0.15, 1) == small
    other = build("clean", 0.15, 2)
    assert other["sample"] != small["sample"]
    assert other["v_m"] != small["v_m"]


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["as_run", "clean"])
def test_synapses_of_m1_at_a_quarter_millimetre(variant):
    built = build(variant, 0.25, 1)
    expected = expected_synapses(network(variant=variant, patch_mm=0.25))
    assert sum(built["by_projection"]) == pytest.approx(expected.sum(), rel=1e-3)
    # Six standard deviations for each of 226 projections; a Bernoulli count varies less than its mean.
    assert np.max(np.abs(built["by_projection"] - expected) / np.sqrt(expected)) < 6


@pytest.mark.parametrize("variant", ["as_run", "clean"])
def test_synapses_of_thalamus_basal_ganglia_and_cerebellum(variant):
    """Not at 0.2 mm: as run, edges of masks fall onto planes of cells there and NEST's rounding decides."""
    built = run(COUNT, variant, 0.15)
    tables = network(("VL", "BG", "CB_M1"), variant, 0.15)
    drawn = [not isinstance(each.rule, OneToOne) for each in tables.projections]
    expected, deviation = expected_synapses(tables)[drawn], np.sqrt(synapse_variance(tables)[drawn])
    # In-degrees and constant kernels are exact.
    assert np.all(np.abs(built["by_projection"] - expected) <= np.maximum(4 * deviation, 1e-6))
    assert np.count_nonzero(deviation) == 11  # 8 in thalamus, 3 in the cerebellum
    assert built["neurons"] == tables.sizes
    assert built["drive_links"] == drive_links(tables)
    assert built["v_m"] == {"TH_M1_IZ_RE": [0.0], "CB_M1_gr": [-70.0], "MSN": [0.0]}
    fast_spiking = tables.by_name["FSI"]
    assert built["tau_syn"] == [list(fast_spiking.parameters["tau_syn"])] * fast_spiking.size
    assert built["receptors"] == [1, 2, 3]


@pytest.mark.wheel
def test_a_source_excites_a_nucleus_through_one_of_its_receptors(launch, tmp_path):
    (tmp_path / "bg").mkdir()
    (tmp_path / "bg/experiment.toml").write_text(BASAL_GANGLIA)
    (tmp_path / "bg/transfer.py").write_text(PUSH)
    result = launch(2, "run.py", "bg", "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    times_ms = RunData(tmp_path / "run").spikes["GPe"].timestamps_ms
    assert np.count_nonzero(times_ms > 40) > 2 * np.count_nonzero(times_ms <= 40)
