# SPDX-License-Identifier: GPL-2.0-or-later
"""A brain that is changed and rebuilt between its steps: as NEST alone, and the same on 1, 2 and 3 ranks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from conftest import PROGRAMS, REPOSITORY, clean_environment

from cosim.parallel.launch import find_mpiexec

Results = dict[str, np.ndarray]
SIZES = 40


@pytest.fixture(scope="module")
def on(tmp_path_factory) -> Callable[[int], Results]:
    """What the program finds on so many ranks; it runs once on each."""
    folder, known = tmp_path_factory.mktemp("changes"), {}

    def run(ranks: int) -> Results:
        if ranks not in known:
            (folder / str(ranks)).mkdir()
            out = folder / str(ranks) / "found.npz"
            command = [find_mpiexec(), "-n", str(ranks), sys.executable, str(PROGRAMS / "change_brain.py"), str(out)]
            done = subprocess.run(
                command, env=clean_environment(), cwd=REPOSITORY, capture_output=True, text=True, timeout=240
            )
            assert done.returncode == 0, done.stderr
            known[ranks] = dict(np.load(out))
        return known[ranks]

    return run


def said(found: Results, name: str) -> str:
    return str(found[f"said_{name}"])


@pytest.mark.wheel
def test_parameters_act_as_if_nest_were_prepared_anew(on):
    found = on(1)
    assert found["nest"].shape[1] > 200
    np.testing.assert_array_equal(found["changed"], found["nest"])
    np.testing.assert_array_equal(found["voltages"], found["nest_voltages"])


@pytest.mark.parametrize("ranks", [2, 3])
def test_everything_is_the_same_on_several_ranks(on, ranks):
    whole, split = on(1), on(ranks)
    alone = {"nest", "nest_voltages", "million", "grown", "kept_done", "kept_n", "looking_2", "looking_3"}
    assert set(whole) - alone == set(split) - alone
    for name in set(whole) - alone:
        np.testing.assert_array_equal(split[name], whole[name], err_msg=name)


@pytest.mark.wheel
def test_what_is_refused_or_taken_back_changes_no_spike(on):
    found = on(1)
    assert found["untouched"].shape[1] > 150
    np.testing.assert_array_equal(found["wrong"], found["untouched"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("typo", "psc_exp: no parameter 'V_thh': did you mean V_th? allowed: C_m, "),
        ("read_only", "psc_exp: no parameter 't_spike'"),
        ("population", "no population 'psc_ex': did you mean psc_exp? allowed: cond_alpha, "),
        ("nan", "psc_exp: V_th = nan: must be a finite number"),
        ("text", "psc_exp: V_th = 'high': must be a finite number"),
        ("nothing", "psc_exp: no parameters to set: allowed: C_m, "),
        ("huge", "psc_exp: V_th = 1000"),
        ("nowhere", "'psc_exp[12:]': no neurons, psc_exp has 12"),
        ("truth", "psc_exp: frozen = 0.5: NEST refuses it: frozen must be 0 or 1."),
        ("threshold", "mixed: E_L = -60.0, V_reset = -55.0: NEST refuses it: "),
        ("tau", "cond_exp: tau_syn_ex = -1.0, V_th = -54.0: NEST refuses it: "),
        ("negative", "psc_exp -> cond_exp: factor -1.0, must be a finite number, 0 or more"),
        ("no_synapses", "psc_alpha -> cond_exp: there are no synapses"),
        ("in_common", "psc_exp -> mixed: could not scale weights: static_synapse_hom_w has no weights"),
        ("too_large", "psc_exp -> cond_exp: could not scale weights: a weight of 3.000000 would not be finite"),
        ("nobody", "no population 'inputs': did you mean input? "),
    ],
)
def test_refusals_are_one_line_with_value_and_cure(on, name, words):
    assert said(on(1), name).startswith(words)
    assert "\n" not in said(on(1), name)


def test_weights_of_a_projection_are_scaled_and_no_others(on):
    """As PyNEST reads them; each projection had a factor of its own, and counts say how many synapses it has."""
    found = on(1)
    np.testing.assert_array_equal(found["before"][:2], found["after"][:2])
    factors, counts = np.unique(found["after"][2] / found["before"][2], return_counts=True)
    expected = dict(zip([2.0, 0.5, 4.0, 8.0, 16.0], found["counts"].tolist(), strict=True))
    assert {factor: count for factor, count in zip(factors.tolist(), counts.tolist()) if factor != 1.0} == expected
    assert min(expected.values()) > 0 and found["counts"][2] > 200  # synapses of five models


def test_a_million_synapses_are_scaled_in_well_under_a_second(on):
    seconds, synapses = on(1)["million"].T
    assert synapses.tolist() == [1e6, 1e6]
    assert (seconds < 0.5).all(), seconds


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_twenty_rebuilds_give_the_same_spikes_at_times_of_the_run_and_keep_no_memory(on, ranks):
    found = on(ranks)
    assert found["first"].shape[1] > 20
    for each in found["others"]:
        np.testing.assert_array_equal(each, np.round(found["first"], 6))
    assert (found["last"][0] > 300.0).all()
    assert (found["grown"] < 1.5e6).all(), found["grown"]
    assert found["readout"] > 0


@pytest.mark.parametrize("ranks", [1, 3])
def test_spikes_that_are_not_written_yet_outlive_a_reset(on, ranks):
    found = on(ranks)
    assert len(found["kept_done"]) == 6 and found["kept_done"][-1] == found["kept_n"] > 0
    assert found["kept_done"][2] > 0 and found["kept_done"][-1] == 2 * found["kept_done"][2]
    times_ms = found["kept"][0]
    np.testing.assert_array_equal(
        np.round(times_ms[times_ms > 15.0] - 15.0, 6), np.round(times_ms[times_ms <= 15.0], 6)
    )


def test_a_script_is_run_anew_with_its_modules(on):
    found = on(1)
    assert len(set(found["script_counts"])) == 1 and found["script_counts"][0] > 30
    np.testing.assert_array_equal(found["script_last"], found["script"])


@pytest.mark.parametrize("ranks", [2, 3])
def test_scripts_that_look_at_connections_while_they_connect_have_their_spikes_on_several_ranks(on, ranks):
    """NEST 3.10 itself mistakes targets in most of these networks, or crashes."""
    whole, split = (on(n)[f"looking_{ranks}"] for n in (1, ranks))
    assert whole.shape == (SIZES, 2) and (whole[:, 0] > 10).all()
    differing = (whole != split).any(axis=1).sum()
    assert differing == 0, f"{differing} of {SIZES} networks"


def test_neurons_with_gap_junctions_have_spikes_to_compare(on):
    assert on(1)["gaps"].shape[1] > 10


@pytest.mark.parametrize("ranks", [1, 2])
def test_connections_made_after_a_simulation_are_refused(on, ranks):
    words = "the brain: NestlinkError: NEST's connections cannot be used: connected after a simulation: NEST 3.10 sends"
    assert str(on(ranks)["late"]).startswith(words)
