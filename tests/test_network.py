# SPDX-License-Identifier: GPL-2.0-or-later
"""Network tables: positions, expectations against brute force, and what check() finds."""

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from cosim.network.address import Address
from cosim.network.layout import Axis, Grid, Scattered, Unplaced
from cosim.network.network import Drive, Network, NetworkError, Population, Projection, expected_synapses
from cosim.network.rules import Bernoulli, Box, FixedIndegree
from cosim.network.values import Constant, Lognormal, UniformOnce

RESOLUTION_MS = 0.1


def population(name, counts=(3, 2, 2), wrapped=False):
    axes = tuple(Axis(count, -0.1 * number, 0.2) for number, count in enumerate(counts, start=1))
    extent_mm = tuple(axis.span_mm + 0.2 for axis in axes)
    grid = Grid(axes, extent_mm, wrapped)
    return Population(name, "R", "iaf_cond_alpha", {"C_m": 250.0}, grid, UniformOnce(-70.0, -50.0))


def network(rule, wrapped=False):
    a, b = population("A", (3, 2, 2), wrapped), population("B", (4, 3, 1), wrapped)
    pairs = product("AB", "AB")
    projections = tuple(Projection(source, target, rule, Constant(1.0), 1.5) for source, target in pairs)
    return Network((a, b), projections, (Drive("A", 800.0, 4.5, 1.5, 50.0),))


def test_positions_run_fastest_along_the_last_axis():
    grid = Grid((Axis(2, 0.0, 1.0), Axis(3, 0.0, 2.0)), (1.2, 2.2), wrapped=False)
    assert grid.size == 6
    np.testing.assert_array_equal(grid.positions_mm, [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])


def test_single_plane_lies_at_the_low_end():
    axis = Axis(1, -0.7, -0.5)
    assert axis.planes_mm.tolist() == [-0.7]
    assert axis.span_mm == 0.0


@pytest.mark.parametrize("wrapped", [False, True])
def test_expectation_without_mask_is_the_sum_over_pairs(wrapped):
    rule = Bernoulli(0.8, 0.15)
    tables = network(rule, wrapped)
    by_hand = []
    for projection in tables.projections:
        source, target = tables.by_name[projection.source].layout, tables.by_name[projection.target].layout
        d_mm = (target.positions_mm[:, None] - source.positions_mm)[..., :2]
        if wrapped:
            period_mm = np.array(target.extent_mm[:2])
            d_mm -= period_mm * np.round(d_mm / period_mm)
        p = 0.8 * np.exp(-np.sum(d_mm**2, axis=-1) / (2 * 0.15**2))
        by_hand.append(p.sum() - (np.trace(p) if projection.source == projection.target else 0))
    np.testing.assert_allclose(expected_synapses(tables), by_hand, rtol=1e-12)


def test_bounded_mask_cuts_displacements():
    rule = Bernoulli(1.0, 1e6, Box((0.0, -9.0, -9.0), (0.12, 9.0, 9.0)))
    grid = population("A", (3, 1, 1)).layout
    # Planes at -0.1, 0.05, 0.2: a target is joined with sources at most 0.12 mm to its left.
    np.testing.assert_array_equal(rule.offers(grid, grid, 0), np.eye(3))


def test_oversized_mask_offers_once_or_twice_per_axis():
    rule = Bernoulli(1.0, 0.1, Box((-1.0, -1.0, -2.0), (1.0, 1.0, 2.0)))
    grid = population("A", (5, 4, 3), wrapped=True).layout
    for number in range(3):
        offered = rule.offers(grid, grid, number)
        assert set(np.unique(offered)) == {1, 2}


def test_mask_narrower_than_a_wrapped_grid_offers_at_most_once():
    rule = Bernoulli(1.0, 0.1, Box((-0.11, -1.0, -2.0), (0.11, 1.0, 2.0)))
    grid = Grid((Axis(5, -0.2, 0.2), Axis(1, 0.0, 0.0), Axis(1, 0.0, 0.0)), (0.5, 0.2, 0.2), wrapped=True)
    # A ring of five planes 0.1 mm apart: each sees itself and its two neighbours.
    ring = np.eye(5) + np.roll(np.eye(5), 1, axis=0) + np.roll(np.eye(5), -1, axis=0)
    np.testing.assert_array_equal(rule.offers(grid, grid, 0), ring)


def test_initial_potential_depends_on_name_and_seed_only():
    rule = UniformOnce(-70.0, -50.0)
    assert rule.draw_mv("A", 1) == rule.draw_mv("A", 1)
    values = {rule.draw_mv(name, seed) for name in ("A", "B", "M1_L1_ENGC") for seed in range(20)}
    assert len(values) == 60
    assert all(-70.0 <= value < -50.0 for value in values)


def test_check_accepts_a_sound_network():
    network(Bernoulli(1.0, 0.1)).check(RESOLUTION_MS)


def test_check_names_all_problems_together():
    sound = network(Bernoulli(1.0, 0.1))
    tables = Network(
        (*sound.populations, population("empty", (0, 2, 2)), population("A")),
        (
            Projection("nowhere", "A", Bernoulli(1.5, 0.1), Constant(1.0), -1.5),
            Projection("A", "B", Bernoulli(0.5, 0.0), Constant(1.0), 1.55),
        ),
        (Drive("elsewhere", -1.0, 4.5, 0.0, -5.0),),
    )
    with pytest.raises(NetworkError) as caught:
        tables.check(RESOLUTION_MS)
    assert caught.value.problems == [
        "population A: listed 2 times, names must be unique",
        "population empty of region R: is empty (grid 0 x 2 x 2), must have at least 1 neuron",
        "projection 0 (nowhere -> A): source 'nowhere' is no population; there are A, B, empty",
        "projection 0 (nowhere -> A): p_center is 1.5, must lie in [0, 1]",
        "projection 0 (nowhere -> A): delay_ms is -1.5, must be a positive multiple of clock.resolution_ms = 0.1",
        "projection 1 (A -> B): sigma_mm is 0.0, must be above 0",
        "projection 1 (A -> B): delay_ms is 1.55, must be a positive multiple of clock.resolution_ms = 0.1",
        "drive 0 (elsewhere): population 'elsewhere' is no population; there are A, B, empty",
        "drive 0 (elsewhere): rate_hz is -1.0, must be 0 or more",
        "drive 0 (elsewhere): start_ms is -5.0, must be 0 or a positive multiple of clock.resolution_ms = 0.1",
        "drive 0 (elsewhere): delay_ms is 0.0, must be a positive multiple of clock.resolution_ms = 0.1",
    ]
    assert str(caught.value) == "\n".join(caught.value.problems)


@pytest.mark.parametrize("name", ["L2/3E", "/", "", ".", "..", "layer 5", "E[0]", "E*", "E:1", "E\n", "E\0", "$E$"])
def test_a_name_that_files_or_addresses_cannot_carry_is_refused_with_what_is_allowed(name):
    sound = population("A")
    with pytest.raises(NetworkError) as caught:
        Network((replace(sound, name=name),)).check(RESOLUTION_MS)
    (problem,) = caught.value.problems
    assert problem.startswith(f"population {name!r}: must be called by letters, digits and _ . + - (HDF5 and SONATA")
    better = problem.rpartition(", such as ")[2]
    Network((replace(sound, name=better),)).check(RESOLUTION_MS)


@pytest.mark.parametrize("text", ["L2/3E", "L2/3*", "L2/3E[0:10]", "layer 5", "E:1"])
def test_an_address_that_no_population_can_have_is_refused(text):
    with pytest.raises(ValueError, match=re.escape(f"{text!r}: populations are called by letters, digits and _ . + -")):
        Address.parse(text)


@pytest.mark.parametrize(
    "text", ["L23E", "L2_3E", "L5-PT.1", "E+", "*", "L[2-5]?_*", "M1_[!a]*", "E[0:100:2]", "E[-1]", "Z\u00e4hler"]
)
def test_addresses_of_all_names_and_patterns_are_read(text):
    Address.parse(text)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_check_refuses_what_is_not_a_number(bad):
    sound = network(Bernoulli(1.0, 0.1))
    first = replace(sound.projections[0], rule=Bernoulli(bad, bad), delay_ms=bad)
    drive = Drive("A", bad, 4.5, bad, bad)
    with pytest.raises(NetworkError) as caught:
        replace(sound, projections=(first,), drives=(drive,)).check(RESOLUTION_MS)
    assert len(caught.value.problems) == 6


def test_check_refuses_an_extent_that_does_not_hold_the_grid():
    sound = network(Bernoulli(1.0, 0.1))
    tight = replace(sound.populations[0].layout, extent_mm=(0.1, 0.6, 0.7))
    tables = replace(sound, populations=(replace(sound.populations[0], layout=tight), sound.populations[1]))
    with pytest.raises(NetworkError, match=r"A: extent_mm\[0\] is 0\.1, must be above the span 0\.3"):
        tables.check(RESOLUTION_MS)


def placed(name, layout):
    return replace(population(name), layout=layout)


MASK = Box((-1.0, -1.0), (1.0, 1.0))
WRAPPED = population("G", (3, 2), wrapped=True).layout
SCATTERED = Scattered(9, 0.0, 0.3, seed=1)


@pytest.mark.parametrize(
    ("rule", "source", "target", "problem"),
    [
        (Bernoulli(0.5, 0.1), Unplaced(5), SCATTERED, "sigma_mm is 0.1, but A has no positions"),
        (Bernoulli(0.5, None, MASK), WRAPPED, Unplaced(5), "has a mask, but B is no grid"),
        (Bernoulli(0.5, None, MASK), WRAPPED, SCATTERED, "has a mask, but B is no grid"),
        (Bernoulli(0.5, 0.1), SCATTERED, WRAPPED, "sigma_mm is 0.1, but only one of both is a wrapped grid"),
    ],
)
def test_a_rule_that_looks_at_positions_needs_them(rule, source, target, problem):
    populations = placed("A", source), placed("B", target)
    tables = Network(populations, (Projection("A", "B", rule, Constant(1.0), 1.5),))
    with pytest.raises(NetworkError) as caught:
        tables.check(RESOLUTION_MS)
    assert caught.value.problems == [f"projection 0 (A -> B): {problem}"]


def test_a_single_neuron_without_autapses_has_no_source():
    rule = FixedIndegree(3, allow_autapses=False)
    tables = Network((placed("A", Unplaced(1)),), (Projection("A", "A", rule, Constant(1.0), 1.5),))
    with pytest.raises(NetworkError, match="indegree is 3 without autapses, but A is a single neuron"):
        tables.check(RESOLUTION_MS)
    replace(tables, populations=(placed("A", Unplaced(2)),)).check(RESOLUTION_MS)


@pytest.mark.parametrize("weight", [Constant(float("nan")), Lognormal(float("inf"), 1.0), Lognormal(0.0, -1.0)])
def test_weights_must_be_numbers(weight):
    sound = network(Bernoulli(1.0, 0.1))
    bad = replace(sound.projections[0], weight=weight)
    with pytest.raises(NetworkError, match=r"projection 0 \(A -> A\): weight has (value nan|mu inf|sigma -1.0)"):
        replace(sound, projections=(bad,)).check(RESOLUTION_MS)
    with pytest.raises(NetworkError, match=r"drive 0 \(A\): weight has value nan"):
        replace(sound, drives=(Drive("A", 1.0, float("nan"), 1.5),)).check(RESOLUTION_MS)


def test_a_single_time_constant_makes_a_single_receptor():
    neurons = Population("T", "R", "iaf_psc_exp_multisynapse", {}, Unplaced(5))
    for tau_syn in (2.0, (2.0,)):
        assert replace(neurons, parameters={"tau_syn": tau_syn}).receptors == range(1, 2)


def test_synapses_must_end_at_a_receptor_that_their_target_has():
    two = Population("T", "R", "iaf_psc_alpha_multisynapse", {"tau_syn": (1.0, 2.0)}, Unplaced(5))
    unknown = replace(two, name="U", neuron_model="of_an_extension")
    projections = tuple(
        Projection("T", target, FixedIndegree(1), Constant(1.0), 1.5, receptor)
        for target, receptor in (("T", 2), ("T", 3), ("U", 7))
    )
    with pytest.raises(NetworkError) as caught:
        Network((two, unknown), projections, (Drive("T", 1.0, 1.0, 1.5),)).check(RESOLUTION_MS)
    assert caught.value.problems == [
        f"{where}: receptor is {receptor}, must be 1 or 2 for iaf_psc_alpha_multisynapse in T"
        for where, receptor in (("projection 1 (T -> T)", 3), ("drive 0 (T)", 0))
    ]


def test_scattered_neurons_are_not_joined_with_themselves():
    everyone = Bernoulli(1.0)
    assert everyone.expected_synapses(SCATTERED, SCATTERED, same=True) == 9 * 8
    assert everyone.expected_synapses(SCATTERED, SCATTERED, same=False) == 9 * 9
