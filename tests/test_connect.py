# SPDX-License-Identifier: GPL-2.0-or-later
"""Synapses that nestlink makes, against exact expectations and against NEST's own rules."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cosim.engines.nest.nestlink.connect import AxisOffers, Connect, Nodes, Synapse

pytestmark = pytest.mark.wheel
PROGRAM = "tests/programs/make_synapses.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The arrays of a case of the program, which runs once a case: ``made(alone, "trials")``."""
    done = {}

    def get(alone, case: str) -> dict[str, np.ndarray]:
        if case not in done:
            out = tmp_path_factory.mktemp(case) / "out.npz"
            result = alone(PROGRAM, case, 2, out)
            assert result.returncode == 0, result.stderr
            done[case] = dict(np.load(out))
        return done[case]

    return get


def assert_same_distribution(left: np.ndarray, right: np.ndarray) -> None:
    """Kolmogorov and Smirnov's two-sample test at 1e-4, less for numbers that come in steps."""
    edges = np.unique(np.concatenate([left, right]))
    shares = [np.searchsorted(np.sort(each), edges, side="right") / each.size for each in (left, right)]
    distance = np.max(np.abs(shares[0] - shares[1]))
    assert distance < np.sqrt(-np.log(1e-4 / 2) / 2 * (1 / left.size + 1 / right.size))


def assert_chi_square(values: np.ndarray, mean: np.ndarray | float, variance: np.ndarray | float) -> None:
    """The sum of squared deviations is that of independent counts, within 5 of its standard deviations."""
    total = np.sum((values - mean) ** 2 / variance)
    assert abs(total - values.size) < 5 * np.sqrt(2 * values.size)


def test_every_pair_is_joined_as_often_as_its_probability_says(alone, made):
    found = made(alone, "trials")
    draws, random = found["made"].size, found["variance"] > 0
    np.testing.assert_array_equal(found["joined"][~random], draws * found["mean"][~random])
    assert np.any(found["mean"][~random] > 0), "no pair is certain"
    assert np.sum(random) > 300
    assert_chi_square(found["joined"][random], draws * found["mean"][random], draws * found["variance"][random])


def test_trials_of_one_draw_are_independent(alone, made):
    found = made(alone, "trials")
    assert found["made"].sum() == found["joined"].sum()
    assert_chi_square(found["made"], found["mean"].sum(), found["variance"].sum())


@pytest.mark.parametrize("case", ["bounded", "wrapped"])
@pytest.mark.parametrize("onto", ["other", "own"])
class TestAgainstNest:
    """On a bounded grid and on a wrapped one, where pairs are offered up to eight times."""

    def test_count(self, alone, made, case, onto):
        found = made(alone, case)
        mean, variance = found[f"{onto}_expected"]
        for who in ("theirs", "ours"):
            assert abs(found[f"{who}_{onto}_source"].size - mean) < 4 * np.sqrt(variance), who

    def test_degrees(self, alone, made, case, onto):
        found = made(alone, case)
        for end in ("source", "target"):
            theirs, ours = (
                np.unique(found[f"{who}_{onto}_{end}"], return_counts=True)[1] for who in ("theirs", "ours")
            )
            assert_same_distribution(theirs, ours)

    def test_differences_of_numbers(self, alone, made, case, onto):
        """Numbers run over the grid, so this holds the distance along every axis."""
        found = made(alone, case)
        theirs, ours = (found[f"{who}_{onto}_target"] - found[f"{who}_{onto}_source"] for who in ("theirs", "ours"))
        assert_same_distribution(theirs, ours)
        assert_same_distribution(theirs % 3, ours % 3)

    def test_weights_and_delays(self, alone, made, case, onto):
        found = made(alone, case)
        assert_same_distribution(found[f"theirs_{onto}_weight"], found[f"ours_{onto}_weight"])
        logarithms = np.log(found[f"ours_{onto}_weight"])
        assert abs(logarithms.mean() + 0.7) < 4 * 0.5 / np.sqrt(logarithms.size)
        assert abs(logarithms.std() - 0.5) < 4 * 0.5 / np.sqrt(2 * logarithms.size)
        assert np.unique(logarithms).size == logarithms.size
        assert set(found[f"ours_{onto}_delay"]) == {2.0}


@pytest.mark.parametrize("case", ["bounded", "wrapped"])
def test_no_neuron_is_joined_to_itself(alone, made, case):
    found = made(alone, case)
    assert not np.any(found["ours_own_source"] == found["ours_own_target"])


def pairs_of(found: dict[str, np.ndarray], variant: str) -> tuple[np.ndarray, np.ndarray]:
    """Sources of each target, shape (300, 20), and whether a source is the target itself."""
    source, target = (found[f"{variant}_{end}"] - found["first_id"][0] for end in ("source", "target"))
    np.testing.assert_array_equal(np.bincount(target, minlength=300), 20)
    sources = source[np.argsort(target, kind="stable")].reshape(300, 20)
    return sources, sources == np.arange(300)[:, None]


def distances_mm(found: dict[str, np.ndarray], sources: np.ndarray) -> np.ndarray:
    return np.linalg.norm(found["positions_mm"][sources] - found["positions_mm"][:, None], axis=2)


def test_fixed_indegree_draws_all_sources_alike(alone, made):
    found = made(alone, "indegree")
    sources, selves = pairs_of(found, "free")
    assert_chi_square(np.bincount(sources.ravel(), minlength=300), 20.0, 20 * (1 - 1 / 300))
    assert 0 < selves.sum() < 50  # 20 in the mean
    assert any(np.unique(row).size < 20 for row in sources), "nothing was drawn twice"


def test_fixed_indegree_in_a_circle(alone, made):
    found = made(alone, "indegree")
    sources, _ = pairs_of(found, "circle")
    assert np.max(distances_mm(found, sources)) <= 0.2
    inside = distances_mm(found, np.tile(np.arange(300), (300, 1))) <= 0.2
    candidates = inside.sum(axis=1)
    counts = np.zeros((300, 300))
    np.add.at(counts, (np.arange(300)[:, None], sources), 1)
    mean = np.broadcast_to(20 / candidates[:, None], inside.shape)[inside]
    assert_chi_square(counts[inside], mean, mean * (1 - mean / 20))


@pytest.mark.parametrize("variant", ["distinct", "distinct_circle"])
def test_fixed_indegree_without_repetition(alone, made, variant):
    found = made(alone, "indegree")
    sources, selves = pairs_of(found, variant)
    assert all(np.unique(row).size == 20 for row in sources)
    assert not selves.any()
    if variant == "distinct":
        # A neuron is drawn by each of 299 targets with probability 20 / 299.
        assert_chi_square(np.bincount(sources.ravel(), minlength=300), 20.0, 20 * (1 - 20 / 299))
    else:
        assert np.max(distances_mm(found, sources)) <= 0.3


def test_an_empty_circle_takes_the_nearest_if_asked_to(alone, made):
    found = made(alone, "indegree")
    sources, _ = pairs_of(found, "nearest")
    apart_mm = distances_mm(found, np.tile(np.arange(300), (300, 1)))
    np.fill_diagonal(apart_mm, np.inf)
    np.testing.assert_array_equal(sources, np.repeat(np.argmin(apart_mm, axis=1)[:, None], 20, axis=1))


def test_any_synapse_model_with_receptors_relays_and_devices(alone, made):
    found = made(alone, "models")
    np.testing.assert_array_equal(found["made"], 6)
    np.testing.assert_array_equal(found["weight"], np.repeat(100.0 + np.arange(4), 6).reshape(4, 6))
    np.testing.assert_array_equal(found["delay"], np.repeat(1.0 + np.arange(4), 6).reshape(4, 6))
    assert sorted(found["delays_ms"]) == [1.0, 4.0]
    np.testing.assert_array_equal(found["receptor"][:2], [[2] * 6, [1] * 6])
    sources, targets = (found[end] - found[end].min(axis=1, keepdims=True) for end in ("source", "target"))
    np.testing.assert_array_equal(sources, targets)
    assert found["spikes"] > 10


def test_spikes_are_those_of_the_same_synapses_made_by_nest(alone, made):
    found = made(alone, "copied")
    assert found["senders_0"].size > 500
    for name in ("senders", "times", "delays_ms"):
        np.testing.assert_array_equal(found[f"{name}_0"], found[f"{name}_1"])
    np.testing.assert_allclose(found["delays_ms_0"], [0.7, 2.2])


@pytest.mark.parametrize(
    ("case", "says"),
    {
        "receptor": "pairs by static_synapse: Receptor type 7 in .* does not accept SpikeEvent",
        "model": "Synapse with name no_synapse does not exist",
        "delay": "Delay must be greater than or equal to resolution",
        "node": "Node with id 42 does not exist",
        "device": "source 41 is a device .a poisson_generator., .* use Connect",
        "gap": "gap_junction joins both ways",
        "alone": "target [0-9]+ of the population has 0 candidates .* within 0.300000 mm, needs at least 1",
        "few": "target [0-9]+ of the population has 40 candidates for sources, needs at least 41",
    }.items(),
)
def test_what_cannot_be_is_refused(alone, made, case, says):
    (message,) = made(alone, "refused")[case]
    assert re.search(says, message), message


EVEN = AxisOffers(np.array([0, 2, 4]), np.array([0, 1, 0, 1]), np.full(4, 0.5))
LINE, STATIC = Nodes(1, (2,)), Synapse("static_synapse", 1.0, 1.0)


@pytest.mark.parametrize(
    ("axes", "says"),
    [
        ([EVEN, EVEN], "sources have 1 axes, targets 1, offers 2"),
        (
            [AxisOffers(EVEN.starts[:2], EVEN.planes, EVEN.factors)],
            "axis 0: starts must rise from 0 to 4 in 2 rows",
        ),
        (
            [AxisOffers(EVEN.starts, EVEN.planes + 1, EVEN.factors)],
            r"axis 0: source planes must be in \[0, 2\)",
        ),
        ([AxisOffers(EVEN.starts, EVEN.planes, EVEN.factors * 2.5)], r"axis 0: factors must be in \[0, 1\]"),
        (
            [AxisOffers(EVEN.starts, EVEN.planes, EVEN.factors * np.nan)],
            r"axis 0: factors must be in \[0, 1\]",
        ),
    ],
)
def test_tables_are_checked_before_nest_sees_them(axes, says):
    with pytest.raises(ValueError, match=says):
        Connect.connect_bernoulli(None, LINE, LINE, axes, STATIC, 1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"indegree": -1}, "indegree is -1"),
        ({"radius_mm": 0.5}, "give both or none"),
        ({"positions": (np.zeros((2, 2)), np.zeros((2, 2))), "radius_mm": 0.0}, "radius_mm is 0.0"),
        (
            {"positions": (np.zeros((2, 2)), np.zeros((3, 2))), "radius_mm": 1.0},
            r"shape \(3, 2\), must be \(2, 2\)",
        ),
    ],
)
def test_circles_are_checked_before_nest_sees_them(options, says):
    with pytest.raises(ValueError, match=says):
        Connect.connect_indegree(None, LINE, LINE, **{"indegree": 1, "synapse": STATIC, "key": 1} | options)


def test_axis_offers_from_a_table():
    offered, factor = np.array([[1, 0, 2], [0, 0, 0]]), np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    axis = AxisOffers.from_table(offered, factor)
    assert [each.tolist() for each in axis.arrays()] == [[0, 3, 3], [0, 2, 2], [0.1, 0.3, 0.3]]
