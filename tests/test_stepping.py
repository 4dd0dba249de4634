# SPDX-License-Identifier: GPL-2.0-or-later
"""Stepping through nestlink: the spikes of nest.Run, a journal that equals NEST's recorder, memory that stays."""

import numpy as np
import pytest

STEPPING = "tests/programs/stepping.py"


def compare(tmp_path):
    """Both ways to step, and both ways to record, gave the same."""
    plain, ours = (dict(np.load(tmp_path / f"{how}.npz")) for how in ("nest", "nestlink"))
    assert len(plain["times"]) > 3000, "too few spikes to say anything"
    assert (plain["times"] > 120).any(), "no spikes of the Simulate after the stepping"
    assert (plain["times"] % 0.1 > 1e-6).any(), "no spikes off the time grid"
    for name in set(plain) - {"simulate_s"}:
        np.testing.assert_array_equal(ours[name], plain[name], err_msg=name)
    np.testing.assert_array_equal(ours["journal_times"], ours["times"])
    np.testing.assert_array_equal(ours["journal_ids"], ours["ids"])
    assert ours["stepped_ms"] == 120.0
    assert ours["simulate_s"] > 0


@pytest.mark.parametrize(
    ("ranks", "virtual_processes", "step_ms"), [(1, 1, 20.0), (1, 2, 1.5), (2, 2, 6.0), (2, 4, 20.0), (3, 3, 1.5)]
)
def test_spikes_are_those_of_run(launch, tmp_path, ranks, virtual_processes, step_ms):
    for how in ("nest", "nestlink"):
        result = launch(ranks, STEPPING, how, step_ms, virtual_processes, tmp_path / f"{how}.npz")
        assert result.returncode == 0, result.stderr
    compare(tmp_path)


@pytest.mark.wheel
@pytest.mark.parametrize("threads", [1, 2])
def test_spikes_are_those_of_run_without_mpi(alone, tmp_path, threads):
    for how in ("nest", "nestlink"):
        result = alone(STEPPING, how, 2.0, threads, tmp_path / f"{how}.npz")
        assert result.returncode == 0, result.stderr
    compare(tmp_path)


@pytest.mark.wheel
def test_memory_stays_over_thousands_of_steps(alone, tmp_path):
    result = alone("tests/programs/long_run.py", tmp_path / "shard.h5")
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 2e6  # 1.1 million spikes came meanwhile: 17 MB if they were kept


@pytest.mark.wheel
@pytest.mark.parametrize(
    ("delay_ms", "step_ms", "min_delay_ms"),
    [(1.5, 20.0, 1.0), (1.5, 6.0, 1.5), (1.5, 1.0, 1.0), (1.5, 7.3, 1.5), (0.1, 0.3, 0.1)],
)
def test_min_delay_divides_the_step_where_that_costs_little(alone, delay_ms, step_ms, min_delay_ms):
    result = alone("tests/programs/fit_min_delay.py", delay_ms, step_ms)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) == pytest.approx(min_delay_ms)


@pytest.mark.wheel
def test_misuse_is_refused_and_leaves_the_kernel_usable(alone):
    result = alone("tests/programs/misuse_stepping.py")
    assert result.returncode == 0, result.stderr
    said = result.stdout.splitlines()
    words = [
        *("without Prepare", "node 2 is no neuron", "node 1 is recorded already"),
        *(["positive multiple"] * 3),
        "node 2, poisson_generator, has no number 'amplitude'",
        "node 1, iaf_psc_exp, has no number 'rate'",
    ]
    assert [word in line for word, line in zip(words, said, strict=False)] == [True] * len(words), said
    assert said[len(words) :] == ["1.0"]
