# SPDX-License-Identifier: GPL-2.0-or-later
"""The published example of the Neurorobotics Platform, line by line in cosim: sources, sinks, functions and recorder.

It is the task of Feldotto et al. 2022, section 4.2: a spike sink on each of 19 populations, a Poisson source on three,
a function from brain to robot, one from robot to brain, and a CSV recorder of all voltages. Left what its user wrote
there, in words, right what stands below:

=========================================================  ==========================================================
sink on each population, ``leaky_integrator_alpha``        ``[[sinks]]``, a group: ``m1.voltage_mv`` is an array
... weight 10, delay, C_m 1000, tau_m 10, tau_syn 2        its ``weight_pa``, ``delay_ms``; the others are defaults
source on a population, ``poisson``, weight, delay         ``[[sources]]``, the default kind
... receptor excitatory, connector all to all              ``receptor = "excitatory"``; the default connector
function of type ``Neuron2Robot``, parameter ``t``         ``@transfer_function`` with ``t_ms``; any may do both
... ``t`` is the start of the step that is over            ``t_ms`` is its end: a step later
... its sinks, its topics for the robot                    its parameters: ``m1``, ``muscles``
function of type ``Robot2Neuron`` that sets ``rate``       ``engc_source.rate_hz``, which acts in the next step
CSV recorder with headers, an entry in each step           ``cosim export csv``: ``exchange.csv``
=========================================================  ==========================================================
"""

from __future__ import annotations

import csv
import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec

from cosim.results import RunData, export

STEP_MS, STEPS, BASE_UNTIL_MS, ONSET_MS, RATE_HZ = 20.0, 12, 80.0, 100.0, 50000.0
LAYERS = {"L1": ("ENGC", "SBC"), "L23": ("CC", "PV", "SST", "VIP"), "L5A": ("CC", "CS", "CT", "PV", "SST", "VIP")}
LAYERS |= {"L5B": ("CC", "CS", "PT", "PV", "SST"), "L6": ("CT", "PV")}
POPULATIONS = [f"M1_{layer}_{kind}" for layer, kinds in LAYERS.items() for kind in kinds]
LEAST = 0.01  # activation that a muscle has at least
BASE = [0.5, 0.9, 0.2, 0.4, 0.6, 0.8, 0.2, 0.6]

BRAIN = """
import nest

for name in {names}:
    globals()[name] = nest.Create("iaf_cond_exp", 5, {{"I_e": nest.random.uniform(200.0, 300.0)}})
"""
SOURCE = """
[[sources]]
name = "{name}"
population = "{population}"
kind = "poisson"
receptor = "excitatory"
weight = 0.15
delay_ms = 1.5
"""
EXPERIMENT = f"""
[clock]
coupling_step_ms = {STEP_MS}
physics_step_ms = 1.0
resolution_ms = 0.1
steps = {STEPS}
[brain]
script = "brain.py"
virtual_processes = 2
[body]
model = "forelimb"
driven = "activation"
[[sinks]]
name = "m1"
populations = "M1_*"
kind = "leaky_integrator_alpha"
weight_pa = 10.0
delay_ms = 1.5
"""
SOURCES = {"engc_source": "M1_L1_ENGC", "l23_cc_source": "M1_L23_CC", "l5a_cc_source": "M1_L5A_CC"}
TRANSFER = f"""
from cosim import transfer_function


@transfer_function
def actuate(t_ms, m1, muscles):
    if t_ms < {BASE_UNTIL_MS}:
        muscles.excitation = {BASE}
        return
    muscles.excitation[muscles.index("Foot1")] = 0.2
    driven = muscles.indices("Foot2", "Humerus1", "Humerus3")
    muscles.excitation[driven] = min(1.0, m1.voltage_mv[m1.index("M1_L1_ENGC")] / 2.0)


@transfer_function
def stimulate(t_ms, engc_source):
    if t_ms >= {ONSET_MS}:
        engc_source.rate_hz = {RATE_HZ}
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> RunData:
    """The example on small populations."""
    folder = tmp_path_factory.mktemp("old") / "example"
    folder.mkdir()
    tables = "".join(SOURCE.format(name=name, population=population) for name, population in SOURCES.items())
    files = {"experiment.toml": EXPERIMENT + tables, "brain.py": BRAIN.format(names=POPULATIONS)}
    for name, text in {**files, "transfer.py": TRANSFER}.items():
        (folder / name).write_text(text)
    out = folder.parent / "run"
    command = [find_mpiexec(), "-n", "2", sys.executable, "run.py", str(folder), "--out", str(out)]
    result = subprocess.run(
        command, cwd=REPOSITORY, env=clean_environment(), capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return RunData(out)


def test_there_are_as_many_sinks_and_sources(ended):
    assert len(POPULATIONS) == 19
    assert sorted(ended.readout) == sorted(POPULATIONS) and sorted(ended.stimulus) == sorted(SOURCES)
    assert {each.kind for each in ended.sinks.values()} == {"leaky_integrator_alpha"}
    assert {name: each.population for name, each in ended.sources.items()} == SOURCES


def test_the_stimulus_acts_from_its_onset_on(ended):
    starts_ms = STEP_MS * np.arange(STEPS)
    expected = np.where(starts_ms >= ONSET_MS, RATE_HZ, 0.0)
    np.testing.assert_array_equal(ended.stimulus["engc_source"], expected)
    assert not ended.stimulus["l23_cc_source"].any() and not ended.stimulus["l5a_cc_source"].any()
    spikes = ended.spikes["M1_L1_ENGC"].timestamps_ms
    after = (spikes > ONSET_MS).sum() / (STEPS * STEP_MS - ONSET_MS)
    assert after > 2 * (spikes <= ONSET_MS).sum() / ONSET_MS


def test_the_voltage_of_a_step_excites_muscles_in_the_next(ended):
    activation, muscles = ended.body["muscle_activation"], ended.columns("muscle_activation")
    voltage_mv = np.concatenate([[0.0], ended.readout["M1_L1_ENGC"]])  # at the start of each step
    step = np.floor((ended.body["time_ms"] - 0.5) / STEP_MS).astype(int)
    driven = np.clip(voltage_mv / 2.0, LEAST, 1.0)[step]
    is_base = step * STEP_MS < BASE_UNTIL_MS
    assert 0 < voltage_mv.max() and len(np.unique(driven)) > 3
    for name, base, then in (("Foot1", 0.5, 0.2), ("Foot2", 0.9, driven), ("Humerus1", 0.6, driven)):
        np.testing.assert_allclose(activation[:, muscles.index(name)], np.where(is_base, base, then), rtol=1e-12)


def test_the_recorder_has_a_row_for_each_step_and_a_column_for_each_sink(ended, tmp_path):
    export.main(str(ended.folder.path), "csv", str(tmp_path / "tables"))
    with (tmp_path / "tables/exchange.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["time_ms"]) for row in rows] == (STEP_MS * np.arange(1, STEPS + 1)).tolist()
    for name in POPULATIONS:
        assert [float(row[f"{name}.voltage_mv"]) for row in rows] == ended.readout[name].tolist()
