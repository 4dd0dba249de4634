# SPDX-License-Identifier: GPL-2.0-or-later
"""Muscle curves, rigid-tendon forces and activation dynamics against OpenSim."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from cosim.body import curves
from cosim.body.kinds import load
from cosim.body.muscle import RigidTendonMuscles

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def reference():
    return np.load(ROOT / "tests/data/opensim_reference.npz")


@pytest.fixture(scope="module")
def muscles():
    return RigidTendonMuscles(load(ROOT / "models/forelimb/body.toml").muscles)


@pytest.mark.parametrize(
    "name", ["active_force_length", "passive_force_length", "force_velocity", "tendon_force_length"])
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
    p, force = muscles.parameters, np.empty(8)
    grid = [reference[key] for key in
            ("eq_activation", "eq_path_length_over_L0_plus_Ls", "eq_path_speed_L0_per_s")]
    for (i, activation), (j, length), (k, speed) in product(*map(enumerate, grid)):
        path = length * (p.optimal_fiber_length_m + p.tendon_slack_length_m)
        muscles.pull(np.full(8, activation), path, speed * p.optimal_fiber_length_m, force)
        error = (force - reference["rigid_lM_vM_FT"][:, i, j, k, 2]) / p.max_isometric_force_N
        assert np.abs(error).max() < 1e-4, (activation, length, speed)


def test_a_pennated_muscle_pulls_with_the_cosine_of_its_angle(muscles):
    flat = load(ROOT / "models/forelimb/body.toml").muscles[0]
    pennated = flat.model_copy(update={"pennation_rad": 0.5})
    length = flat.tendon_slack_length_m + flat.optimal_fiber_length_m * np.cos(0.5)
    force = np.empty(1)
    RigidTendonMuscles((pennated,)).pull(np.ones(1), np.array([length]), np.zeros(1), force)
    assert force[0] == pytest.approx(flat.max_isometric_force_N * np.cos(0.5), rel=1e-9)


def test_a_path_shorter_than_the_tendon_does_not_pull(muscles):
    force = np.ones(8)
    muscles.pull(np.ones(8), 0.99 * muscles.parameters.tendon_slack_length_m, np.zeros(8), force)
    assert (force == 0.0).all()


def test_activation_follows_a_step_as_in_opensim(reference, muscles):
    step_s = reference["act_t_s"][1]
    for (i, excitation), (j, start) in product(enumerate(reference["act_excitation"]),
                                               enumerate(reference["act_initial"])):
        activation = np.full(8, start)
        course = [start]
        for _ in reference["act_t_s"][1:]:
            muscles.activate(activation, np.full(8, excitation), step_s)
            course.append(activation[0])
        # Without excitation the bare model of the reference runs below the minimum activation of a muscle.
        expected = np.maximum(reference["act_step_response"][i, j], 0.01)
        np.testing.assert_allclose(course, expected, rtol=0, atol=2e-4, err_msg=f"{start} to {excitation}")
