# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim validate`` on OpenSim's data for the forelimb, as users call it."""

import json
from pathlib import Path

import numpy as np
import pytest

from cosim.cli import main

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "tests/data/opensim_reference.npz"

ALLOWED = {
    "curves_max": 1e-6,
    "static_force_max": 1e-4,
    "static_fibre_max": 1e-6,
    "rigid_force_max": 1e-4,
    "sinus_force_max": 0.06,
    "activation_max": 1e-3,
    "path_length_max_m": 1e-9,
    "path_speed_max_m_s": 1e-9,
    "moment_arm_max_m": 1e-9,
    "foot_tip_max_m": 1e-9,
}
# The reference was integrated with an accuracy of 1e-7.
ACCURACY_RAD = 1e-7
# MuJoCo's loop closures are soft springs.
LOOP_ALLOWED_M = {"pybullet": 1e-6, "mujoco": 5e-6}


@pytest.fixture(scope="module")
def arrays():
    with np.load(REFERENCE) as file:
        return dict(file)


def validate(capsys, *arguments):
    assert main(["validate", "forelimb", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("engine", ["pybullet", "mujoco"])
def test_the_forelimb_agrees_with_opensim_at_1_ms(capsys, engine):
    pytest.importorskip(engine)
    errors = validate(capsys, REFERENCE, "--engine", engine)
    assert {key: errors[key] for key in ALLOWED if not errors[key] < ALLOWED[key]} == {}
    for case, rms_rad in errors["forward_rms_rad"].items():
        assert rms_rad < (3e-3 if "nolimit" in case or "passive" in case else 5e-3), case
    assert len(errors["forward_rms_rad"]) == 7
    assert errors["loop_error_max_m"] < LOOP_ALLOWED_M[engine]


@pytest.fixture(scope="module")
def movements(arrays, tmp_path_factory):
    """A smaller file: the movements without limits, which a step of 0.1 ms takes longest for."""
    file = tmp_path_factory.mktemp("reference") / "movements.npz"
    np.savez(file, **{key: array for key, array in arrays.items() if not key.startswith("fd_limit")})
    return file


@pytest.mark.parametrize("engine", ["pybullet", "mujoco"])
def test_movements_converge_with_the_physics_step(capsys, movements, engine):
    pytest.importorskip(engine)
    coarse, fine = (
        validate(capsys, movements, "--engine", engine, "--physics-step-ms", step_ms)["forward_rms_rad"]
        for step_ms in (1.0, 0.1)
    )
    assert len(coarse) == 6
    # MuJoCo moves a body without muscles as exactly as the reference was integrated, at both steps.
    inexact = {case: fine[case] for case in fine if fine[case] > ACCURACY_RAD}
    assert {case: coarse[case] / fine[case] for case in inexact if not coarse[case] > 5.0 * fine[case]} == {}
    assert len(inexact) >= 4


def test_a_wrong_muscle_is_seen(capsys, arrays, tmp_path):
    """The comparison can fail: a reference whose second muscle is one percent stronger."""
    changed = dict(arrays)
    changed["static_lM_vM_FT"] = arrays["static_lM_vM_FT"].copy()
    changed["static_lM_vM_FT"][1, ..., 2] *= 1.01
    np.savez(tmp_path / "changed.npz", **changed)
    errors = validate(capsys, tmp_path / "changed.npz")
    assert errors["static_force_max"] > 1e-3
    assert errors["rigid_force_max"] < ALLOWED["rigid_force_max"]


def test_the_table_names_every_movement(capsys):
    assert main(["validate", "forelimb", str(REFERENCE)]) == 0
    shown = capsys.readouterr().out
    for words in ("limit_protocol", "passive_effort_gravity", "moment arms", "loop closures"):
        assert words in shown


def without(key):
    return lambda arrays: {name: array for name, array in arrays.items() if name != key}


@pytest.mark.parametrize(
    "change, said",
    [
        (without("kin_q_rad"), "has no array 'kin_q_rad'"),
        (lambda a: {**a, "static_lM_vM_FT": a["static_lM_vM_FT"][:7]}, "does not fit"),
        (lambda a: {**a, "kin_joint_names": np.array(["a", "b", "c", "d"])}, "does not fit: 'a' is not in list"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(capsys, arrays, tmp_path, change, said):
    np.savez(tmp_path / "bad.npz", **change(arrays))
    assert main(["validate", "forelimb", str(tmp_path / "bad.npz")]) == 2
    message = capsys.readouterr().err
    assert "bad.npz" in message and said in message


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["forelimp", REFERENCE], "no body 'forelimp'"),
        (["husky", REFERENCE], "only bodies with muscles"),
        (["forelimb", ROOT / "README.md"], "README.md: cannot be read as an .npz file"),
        (["forelimb", "missing.npz"], "missing.npz: cannot be read"),
        (["forelimb", REFERENCE, "--physics-step-ms", "-1"], "must be a positive number"),
        (["forelimb", REFERENCE, "--physics-step-ms", "0.7123"], "no step of 0.7123 ms ends on one"),
    ],
)
def test_bad_arguments_are_refused(capsys, arguments, said):
    assert main(["validate", *map(str, arguments)]) == 2
    assert said in capsys.readouterr().err
