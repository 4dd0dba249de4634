# SPDX-License-Identifier: GPL-2.0-or-later
"""A body against reference data that OpenSim computed for it.

The data are the arrays of an .npz file, which models/forelimb/REFERENCE.md describes. Each function compares
one section of them and returns the largest deviations by name. MuscleModel are in the order of the body's.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Literal

import numpy as np

from cosim.body.musculoskeletal import curves
from cosim.body.musculoskeletal.body import MusculoskeletalBody
from cosim.body.musculoskeletal.description import MusculoskeletalDescription
from cosim.body.musculoskeletal.kinematics import Kinematics
from cosim.body.musculoskeletal.muscle import ElasticTendonMuscles, MuscleModel, RigidTendonMuscles
from cosim.body.musculoskeletal.state import MuscleState

Reference = Mapping[str, np.ndarray]
Errors = dict[str, float]

CURVES = ("active_force_length", "passive_force_length", "force_velocity", "tendon_force_length")


def curve_errors(reference: Reference) -> Errors:
    """The four characteristic curves and their slopes."""
    value, slope = [], []
    for name in CURVES:
        y, dydx = getattr(curves, name)()(reference[f"curve_{name}_x"])
        value.append(_largest(y - reference[f"curve_{name}_y"]))
        slope.append(_largest(dydx - reference[f"curve_{name}_dydx"]))
    return {"curves_max": max(value), "curve_slopes_max": max(slope)}


def static_errors(description: MusculoskeletalDescription, reference: Reference) -> Errors:
    """MuscleModel with elastic tendons at rest: force in F0, fibre length in L0."""
    muscles = ElasticTendonMuscles(description.muscles)
    optimal, strongest = _scales(muscles)
    errors = np.zeros((2, 1))
    for (i, activation), (j, length) in _grid(reference, "activation", "path_length_over_L0_plus_Ls"):
        state = _state(description, activation, length * _rest_path(muscles))
        muscles.settle(state)
        fiber, _, force = reference["static_lM_vM_FT"][:, i, j].T
        errors = np.maximum(
            errors, [[_largest((state.force - force) / strongest)], [_largest((state.fiber_length - fiber) / optimal)]]
        )
    return {"static_force_max": float(errors[0, 0]), "static_fibre_max": float(errors[1, 0])}


def rigid_errors(description: MusculoskeletalDescription, reference: Reference) -> Errors:
    """MuscleModel with rigid tendons: force in F0."""
    muscles = RigidTendonMuscles(description.muscles)
    optimal, strongest = _scales(muscles)
    errors = [0.0]
    for (i, activation), (j, length), (k, speed) in _grid(
        reference, "activation", "path_length_over_L0_plus_Ls", "path_speed_L0_per_s"
    ):
        state = _state(description, activation, length * _rest_path(muscles), speed * optimal)
        muscles.settle(state)
        errors.append(_largest((state.force - reference["rigid_lM_vM_FT"][:, i, j, k, 2]) / strongest))
    return {"rigid_force_max": max(errors)}


def sinus_errors(description: MusculoskeletalDescription, reference: Reference, step_s: float) -> Errors:
    """MuscleModel with elastic tendons on a path of sinusoidal length, in steps of ``step_s``: force in F0.

    Compared where a step ends on a sample of the reference.
    """
    muscles = ElasticTendonMuscles(description.muscles)
    middle, (_, strongest) = _rest_path(muscles), _scales(muscles)
    rows = _shared_rows(reference["sin_t_s"], step_s)
    errors = [0.0]
    cases = product(enumerate(reference["sin_activation"]), enumerate(reference["sin_centre_amp_freq"]))
    for (i, activation), (c, (centre, amplitude, frequency)) in cases:
        state, pace = _state(description, activation, centre * middle), 2.0 * np.pi * frequency
        muscles.settle(state)
        for step in range(max(rows) + 1):
            phase = pace * step * step_s
            state.length[:] = (centre + amplitude * np.sin(phase)) * middle
            state.speed[:] = amplitude * pace * np.cos(phase) * middle
            muscles.advance(state, step_s if step else 0.0)
            if step in rows:
                expected = reference["sin_lMT_vMT_lM_vM_FT"][:, i, c, rows[step], 4]
                errors.append(_largest((state.force - expected) / strongest))
    return {"sinus_force_max": max(errors)}


def activation_errors(description: MusculoskeletalDescription, reference: Reference, step_s: float) -> Errors:
    """Activation after a step of the excitation, in steps of ``step_s``.

    The reference is the state of a bare model, which runs below the minimum activation of a muscle; what a muscle
    makes of it is compared.
    """
    muscles, state = MuscleModel(description.muscles), MuscleState(description.muscles)
    lowest = muscles.parameters.minimum_activation
    rows = _shared_rows(reference["act_t_s"], step_s)
    errors = [0.0]
    for (i, excitation), (j, start) in product(
        enumerate(reference["act_excitation"]), enumerate(reference["act_initial"])
    ):
        muscles.put(state, np.full(len(lowest), start))
        command = np.full(len(lowest), excitation)
        for step in range(max(rows) + 1):
            if step:
                muscles.activate(state, command, step_s)
            if step in rows:
                expected = np.maximum(lowest, reference["act_step_response"][i, j, rows[step]])
                errors.append(_largest(state.activation - expected))
    return {"activation_max": max(errors)}


def kinematic_errors(description: MusculoskeletalDescription, reference: Reference) -> Errors:
    """Path lengths, their speeds, moment arms and the end of the arm in poses of the open arm, in SI units."""
    kinematics = Kinematics(description)
    joints = [joint.name for joint in description.revolute_joints]
    columns = [joints.index(name) for name in reference["kin_joint_names"].tolist()]
    end = kinematics.points([description.closures[0].a if description.closures else description.tip])
    length, speed, tip = np.empty(len(description.muscles)), np.empty(len(description.muscles)), np.empty(3)
    arm, angle, rate = np.empty((len(length), len(joints))), np.zeros(len(joints)), np.zeros(len(joints))
    errors = np.zeros(4)
    for i, (q, qd) in enumerate(zip(reference["kin_q_rad"], reference["kin_qdot_rad_s"], strict=True)):
        angle[columns], rate[columns] = q, qd
        kinematics.measure(angle, rate, length, speed, arm, tip)
        errors = np.maximum(
            errors,
            [
                _largest(length - reference["kin_path_length_m"][i]),
                _largest(speed - reference["kin_path_speed_m_s"][i]),
                _largest(arm[:, columns] - reference["kin_moment_arm_m"][i]),
                float(np.linalg.norm(kinematics.positions(angle, end)[0] - reference["kin_foot_tip_in_model_m"][i])),
            ],
        )
    names = ("path_length_max_m", "path_speed_max_m_s", "moment_arm_max_m", "foot_tip_max_m")
    return dict(zip(names, errors.tolist(), strict=True))


def forward_cases(reference: Reference) -> list[str]:
    """Names of the forward dynamics in the reference, in its order."""
    return [key[len("fd_") : -len("_q")] for key in reference if key.startswith("fd_") and key.endswith("_q")]


def forward_errors(
    description: MusculoskeletalDescription, reference: Reference, case: str, engine: str, step_s: float
) -> tuple[float, float]:
    """A forward dynamics of the closed loop: RMS over all angles and samples in rad, and largest loop error in m.

    The name of the case says what acts: joint limits where it has "limit" without "no" before it, rigid
    tendons where it has "rigid". MuscleModel act unless all their forces are 0.
    """
    muscular = bool(reference[f"fd_{case}_FT"].any())
    acting = without_muscles(description) if not muscular else description
    acting = acting if "limit" in case.replace("nolimit", "") else without_limits(acting)
    tendon: Literal["rigid", "elastic"] = "rigid" if "rigid" in case else "elastic"
    body = MusculoskeletalBody(acting, step_s * 1000.0, step_s * 1000.0, tendon=tendon, engine=engine)
    try:
        pairs = np.array(list(_moves(body, reference, case, step_s, muscular)))
    finally:
        body.close()
    return float(np.sqrt(np.mean(pairs[:, 0]))), float(pairs[:, 1].max())


def without_limits(description: MusculoskeletalDescription) -> MusculoskeletalDescription:
    """The same body with joints that turn all the way round."""
    free = [
        joint if joint.type == "fixed" else joint.model_copy(update={"limits_rad": None})
        for joint in description.joints
    ]
    return description.model_copy(update={"joints": tuple(free)})


def without_muscles(description: MusculoskeletalDescription) -> MusculoskeletalDescription:
    """The same body without its muscles."""
    return description.model_copy(update={"muscles": ()})


def _moves(
    body: MusculoskeletalBody, reference: Reference, case: str, step_s: float, muscular: bool
) -> Iterator[tuple[float, float]]:
    """Mean squared angle error and loop error at every sample of the reference that ends a step."""
    names = reference["fd_coordinate_names"].tolist()
    columns = [names.index(name) for name in body.joints.names]
    angle, speed = (reference[f"fd_{case}_{name}"][:, columns] for name in ("q", "qd"))
    ends, excitation = (reference[f"fd_{case}_segments_{name}"] for name in ("t_end", "excitation"))
    rows = _shared_rows(reference[f"fd_{case}_t"], step_s)
    body.reset(angle[0], speed[0], reference[f"fd_{case}_act"][0] if muscular else 0.0)
    for step in range(max(rows)):
        if muscular:
            body.muscles.excitation = excitation[np.searchsorted(ends, step * step_s + 1e-9)]
        body.advance()
        if step + 1 in rows:
            deviation = body.joints.angle_rad - angle[rows[step + 1]]
            yield float(np.mean(deviation**2)), body.loop_error()


def _shared_rows(times_s: np.ndarray, step_s: float) -> dict[int, int]:
    """By number of steps of ``step_s``: the row of the reference at the same time.

    Raises ValueError where no step ends on a sample after the first.
    """
    steps = times_s / step_s
    whole = np.flatnonzero(np.abs(steps - np.round(steps)) < 1e-6)
    if len(whole) < 2:
        raise ValueError(
            f"no step of {step_s * 1000.0:g} ms ends on one of the reference's samples, "
            f"which are {1000.0 * (times_s[1] - times_s[0]):g} ms apart"
        )
    return {int(round(steps[row])): int(row) for row in whole}


def _grid(reference: Reference, *names: str) -> product:
    return product(*(enumerate(reference[f"eq_{name}"]) for name in names))


def _state(
    description: MusculoskeletalDescription,
    activation: float,
    length_m: np.ndarray,
    speed_m_s: float | np.ndarray = 0.0,
):
    state = MuscleState(description.muscles)
    state.activation[:], state.length[:], state.speed[:] = activation, length_m, speed_m_s
    return state


def _scales(muscles: MuscleModel) -> tuple[np.ndarray, np.ndarray]:
    return muscles.parameters.optimal_fiber_length_m, muscles.parameters.max_isometric_force_N


def _rest_path(muscles: MuscleModel) -> np.ndarray:
    return muscles.parameters.optimal_fiber_length_m + muscles.parameters.tendon_slack_length_m


def _largest(errors: np.ndarray) -> float:
    return float(np.max(np.abs(errors)))
