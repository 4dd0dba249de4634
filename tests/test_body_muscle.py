# SPDX-License-Identifier: GPL-2.0-or-later
"""Muscle curves, muscles with rigid and elastic tendons and activation dynamics against OpenSim."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from cosim.body.kinds import load
from cosim.body.musculoskeletal import curves
from cosim.body.musculoskeletal.muscle import ElasticTendonMuscles, RigidTendonMuscles
from cosim.body.musculoskeletal.state import MuscleState

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def reference():
    return np.load(ROOT / "tests/data/opensim_reference.npz")


FORELIMB = load(ROOT / "models/forelimb/body.toml").muscles


@pytest.fixture(scope="module")
def muscles():
    return RigidTendonMuscles(FORELIMB)


def state_of(muscles, activation, length_m, speed_m_s=0.0):
    state = MuscleState(muscles)
    state.activation[:], state.length[:], state.speed[:] = activation, length_m, speed_m_s
    return state


@pytest.mark.parametrize(
    "name", ["active_force_length", "passive_force_length", "force_velocity", "tendon_force_length"]
)
def test_curves_and_their_slopes_are_those_of_opensim(reference, name):
    value, slope = getattr(curves, name)()(reference[f"curve_{name}_x"])
    np.testing.assert_allclose(value, reference[f"curve_{name}_y"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(slope, reference[f"curve_{name}_dydx"], rtol=0, atol=1e-4)


def test_curves_are_straight_beyond_their_ends():
    passive = curves.passive_force_length()
    (inner, outer), slope = passive(np.array([1.7, 2.7]))
    assert outer - inner == pytest.approx(slope[0], rel=1e-12)
    assert passive(np.array(0.2))[0] == 0.0


def test_rigid_tendon_forces_are_those_of_opensim(reference, muscles):
    p = muscles.parameters
    grid = [reference[key] for key in ("eq_activation", "eq_path_length_over_L0_plus_Ls", "eq_path_speed_L0_per_s")]
    for (i, activation), (j, length), (k, speed) in product(*map(enumerate, grid)):
        path = length * (p.optimal_fiber_length_m + p.tendon_slack_length_m)
        state = state_of(FORELIMB, activation, path, speed * p.optimal_fiber_length_m)
        muscles.settle(state)
        expected = reference["rigid_lM_vM_FT"][:, i, j, k].T
        for value, number in zip((state.fiber_length, state.fiber_speed, state.force), expected, strict=True):
            np.testing.assert_allclose(value, number, rtol=1e-9, atol=1e-8)


def test_elastic_tendons_stretch_as_in_opensim():
    """A muscle of another shape than the forelimb's: the balance of forces is checked from outside."""
    muscle = FORELIMB[0].model_copy(update={"pennation_rad": 0.4, "tendon_slack_length_m": 0.02})
    for activation, stretched in product((0.01, 0.3, 1.0), (0.9, 1.0, 1.2)):
        length = stretched * (muscle.optimal_fiber_length_m + muscle.tendon_slack_length_m)
        state = state_of([muscle], activation, length)
        ElasticTendonMuscles([muscle]).settle(state)
        fiber = state.fiber_length[0] / muscle.optimal_fiber_length_m
        sine = np.sin(0.4) / fiber
        tendon = (length - state.fiber_length[0] * np.sqrt(1 - sine**2)) / muscle.tendon_slack_length_m
        active, passive, pull = (
            float(curve(value)[0])
            for curve, value in (
                (curves.active_force_length(), fiber),
                (curves.passive_force_length(), fiber),
                (curves.tendon_force_length(), tendon),
            )
        )
        assert (activation * active + passive) * np.sqrt(1 - sine**2) == pytest.approx(pull, abs=1e-9)
        assert state.force[0] == pytest.approx(pull * muscle.max_isometric_force_N, rel=1e-9, abs=1e-12)


def course(step_s):
    """Forces (21, 8) in F0, every 10 ms, while the path swings by 5 % at 10 Hz and the activation at 5 Hz."""
    model, state = ElasticTendonMuscles(FORELIMB), MuscleState(FORELIMB)
    middle = model.parameters.optimal_fiber_length_m + model.parameters.tendon_slack_length_m
    forces = []
    for k in range(round(0.2 / step_s) + 1):
        phase = 2 * np.pi * 10.0 * k * step_s
        state.activation[:] = 0.5 + 0.4 * np.sin(0.5 * phase)
        state.length[:], state.speed[:] = (1 + 0.05 * np.sin(phase)) * middle, np.pi * np.cos(phase) * middle
        model.settle(state) if k == 0 else model.advance(state, step_s)
        forces.append(state.force / model.parameters.max_isometric_force_N)
    return np.array(forces)[:: round(0.01 / step_s)]


def test_the_implicit_step_is_of_second_order_and_safe_at_5_ms():
    exact = course(2e-5)
    # The first 10 ms hold the transient from rest to full speed, which no step of 5 ms can follow.
    coarse, fine, finer = (np.abs(course(step_s) - exact)[1:].max() for step_s in (5e-3, 1e-3, 5e-4))
    assert coarse < 0.03
    assert fine > 3.0 * finer


def test_a_fiber_does_not_shorten_below_its_shortest_length():
    model = ElasticTendonMuscles(FORELIMB)
    state = state_of(FORELIMB, 1.0, 0.3 * (model.parameters.optimal_fiber_length_m))
    model.settle(state)
    for _ in range(20):
        model.advance(state, 0.001)
    np.testing.assert_allclose(state.fiber_length, 0.4441 * model.parameters.optimal_fiber_length_m, rtol=1e-9)
    assert (state.force == 0.0).all()


def test_a_jump_of_the_activation_moves_no_fiber():
    model = ElasticTendonMuscles(FORELIMB)
    state = state_of(FORELIMB, 0.2, model.parameters.optimal_fiber_length_m + model.parameters.tendon_slack_length_m)
    model.settle(state)
    length, force = state.fiber_length.copy(), state.force.copy()
    state.activation[:] = 1.0
    model.advance(state, 0.0)
    assert (state.fiber_length == length).all() and (state.force == force).all()
    assert (state.fiber_speed < -0.1 * model.parameters.optimal_fiber_length_m).all()  # they start to shorten


def test_a_pennated_muscle_pulls_with_the_cosine_of_its_angle():
    flat = FORELIMB[0]
    pennated = flat.model_copy(update={"pennation_rad": 0.5})
    length = flat.tendon_slack_length_m + flat.optimal_fiber_length_m * np.cos(0.5)
    state = state_of([pennated], 1.0, length)
    RigidTendonMuscles([pennated]).settle(state)
    assert state.force[0] == pytest.approx(flat.max_isometric_force_N * np.cos(0.5), rel=1e-9)


@pytest.mark.parametrize("fiber", [-0.01, 0.3, 0.444])
def test_a_path_that_is_too_short_does_not_pull(muscles, fiber):
    """As in OpenSim a fibre stops at its shortest length and is loose there, also while the path is lengthening."""
    p = muscles.parameters
    path, speed = p.tendon_slack_length_m + fiber * p.optimal_fiber_length_m, 5.0 * p.optimal_fiber_length_m
    state = state_of(FORELIMB, 1.0, path, speed)
    muscles.settle(state)
    assert (state.force == 0.0).all() and (state.fiber_speed == 0.0).all()
    np.testing.assert_allclose(state.fiber_length, 0.4441 * p.optimal_fiber_length_m)


def test_activation_follows_a_step_as_in_opensim(reference, muscles):
    step_s = reference["act_t_s"][1]
    state = MuscleState(FORELIMB)
    for (i, excitation), (j, start) in product(
        enumerate(reference["act_excitation"]), enumerate(reference["act_initial"])
    ):
        muscles.put(state, np.full(8, start))
        course, free = [start], [start]
        for _ in reference["act_t_s"][1:]:
            muscles.activate(state, np.full(8, excitation), step_s)
            course.append(state.activation[0])
            free.append(state.activation_state[0])
        # The reference is the state, which without excitation runs below the minimum activation of a muscle.
        expected = reference["act_step_response"][i, j]
        np.testing.assert_allclose(free, expected, rtol=0, atol=2e-4, err_msg=f"{start} to {excitation}")
        assert course == np.maximum(free, 0.01).tolist()


def test_a_muscle_that_was_off_sleeps_for_less_than_a_millisecond(muscles):
    """OpenSim's muscles stop at 0.01, their activation dynamics run on below; here not without end."""
    state = MuscleState(FORELIMB)
    for _ in range(60_000):
        muscles.activate(state, np.zeros(8), 0.001)
    assert (state.activation == 0.01).all() and (state.activation_state == -0.1).all()
    muscles.activate(state, np.ones(8), 0.0004)
    assert (state.activation == 0.01).all()
    muscles.activate(state, np.ones(8), 0.0004)
    assert (state.activation > 0.02).all()
