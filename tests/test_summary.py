# SPDX-License-Identifier: GPL-2.0-or-later
"""The numbers of summary.json, on profiles small enough to be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.engines.built import BuiltBrain, BuiltPopulation
from cosim.record import built
from cosim.record.profile import STEP_PHASES
from cosim.record.summary import built_brain, built_regions, coupling_fraction, mean_rates_hz, timing


def profile(*ranks: list[dict[str, float]]) -> np.ndarray:
    """(ranks, steps, phases) from a list of steps for each rank, body rank first."""
    return np.array([[[step.get(name, 0.0) for name in STEP_PHASES] for step in rank] for rank in ranks])


TWO_STEPS = profile(
    [{"body": 1.0, "gather": 13.0}, {"body": 1.0, "gather": 21.0}],
    [{"brain": 8.0, "gather": 1.0, "share": 1.0}, {"brain": 20.0, "share": 2.0}],
    [{"brain": 6.0, "ahead": 4.0, "record": 0.5, "share": 1.5}, {"brain": 15.0, "share": 5.0}],
)


def test_coupling_is_what_is_neither_run_nor_waiting_for_the_longest_run():
    # On brain ranks the longest Runs take 10 and 20 s, the longest steps 12 and 22 s.
    assert coupling_fraction(TWO_STEPS) == pytest.approx(1 - 30 / 34)


def test_a_rank_that_waits_for_anothers_run_adds_no_coupling():
    waiting = profile([{}], [{"brain": 10.0}], [{"brain": 4.0, "gather": 6.0}])
    assert coupling_fraction(waiting) == 0.0


def test_real_time_factor_is_simulated_over_wall_time_of_the_loop():
    # The body rank takes longest: 14 and 22 s.
    result = timing(TWO_STEPS, step_ms=20.0)
    assert result["loop_s"] == pytest.approx(36.0)
    assert result["real_time_factor"] == pytest.approx(0.04 / 36.0)
    assert result["real_time_factor_of_paper"] == pytest.approx(0.02 / 22.0)
    assert "first one included" in result["real_time_factor_is"]
    assert result["loop_phases_s"]["brain"] == pytest.approx(28.0)


def test_a_run_without_steps_has_no_factors():
    empty = np.zeros((3, 0, len(STEP_PHASES)))
    assert timing(empty, 20.0)["real_time_factor"] is None
    assert timing(TWO_STEPS[:, :1], 20.0)["real_time_factor_of_paper"] is None
    assert coupling_fraction(empty) is None
    assert mean_rates_hz({"A": 0}, BuiltBrain(POPULATIONS, {}, {}, 1.0, 1), 0.0) == {}


POPULATIONS = (BuiltPopulation("A", "M1", 1, 10, 10), BuiltPopulation("B", "S1", 11, 5, 0))


def test_synapses_are_summed_over_ranks_and_neurons_are_not():
    synapses = {"M1": 100, "S1": 7}, {"M1": 50, "S1": 0}
    regions = built_regions([BuiltBrain(POPULATIONS, each, {}, 1.0, 2) for each in synapses])
    assert regions == {"M1": {"neurons": 10, "synapses": 150}, "S1": {"neurons": 5, "synapses": 7}}


def test_built_is_counted_over_ranks_with_relays_and_links_apart():
    populations = (*POPULATIONS, BuiltPopulation("R", "S1", 16, 7, 0, is_relay=True))
    links = {"poisson": 3, "relay": 7, "devices": 2}, {"poisson": 1, "relay": 0, "devices": 5}
    ranks = [BuiltBrain(populations, {"M1": 100, "S1": 7}, each, 1.0, 2) for each in links]
    found = built_brain(ranks, peak_memory_mb=[250.0, 300.0, 310.5])
    assert [each["name"] for each in found["populations"]] == ["A", "B"]
    assert found["relays"] == [{"name": "R", "region": "S1", "nodes": 7}]
    assert found["regions"]["S1"] == {"neurons": 5, "synapses": 14}
    assert found["links"] == {"poisson": 4, "relay": 7, "devices": 7}
    assert found["totals"] == {"neurons": 15, "synapses": 214 + 4 + 7, "bytes": 860_500_000}


def test_mean_rates_are_spikes_by_neuron_and_second():
    assert mean_rates_hz({"A": 30}, BuiltBrain(POPULATIONS, {}, {}, 1.0, 1), 2.0) == {"A": 1.5}


def test_what_ranks_built_is_read_from_the_disk_as_it_was_written(tmp_path):
    notes = {"notes": ("net.py, line 3: complete",), "left_to_nestlink": ("A -> B",)}
    ranks = [BuiltBrain(POPULATIONS, {"M1": 100}, {"poisson": 3}, 1.5, 2, connect_bytes=7, **notes) for _ in range(2)]
    run = built.BuiltRun(ranks, [built.RankReport({"create": 0.5}, 250.0)] * 3)
    built.write(tmp_path / "built.json", run)
    assert built.read(tmp_path / "built.json", POPULATIONS) == run
