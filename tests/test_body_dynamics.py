# SPDX-License-Identifier: GPL-2.0-or-later
"""The `Body` that transfer functions drive."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cosim.body.kinds import load, make_ports
from cosim.body.musculoskeletal.body import MusculoskeletalBody, count_substeps

ROOT = Path(__file__).parents[1]
FORELIMB = ROOT / "models/forelimb/body.toml"
# Feldotto et al. (2022), code of the experiment: activation for the first 0.1 s.
BASE = np.array([0.5, 0.9, 0.2, 0.4, 0.6, 0.8, 0.2, 0.6])


def protocol(body, stimulated=True):
    """One second as in the paper: base for 0.1 s, then three muscles off until 0.5 s, then fully on."""
    body.reset(activation=BASE)
    driven = body.muscles.indices("Humerus3", "Foot2", "Humerus1")
    series = []
    for step in range(50):
        body.muscles.excitation = BASE
        if step >= 5:
            body.muscles.excitation[body.muscles.index("Foot1")] = 0.2
            body.muscles.excitation[driven] = 1.0 if step >= 25 and stimulated else 0.0
        body.advance()
        series.append({name: samples.copy() for name, samples in body.series.items()})
    return {name: np.concatenate([step[name] for step in series]) for name in series[0]}


@pytest.fixture(scope="module")
def run():
    body = MusculoskeletalBody(load(FORELIMB))
    yield protocol(body)
    body.close()


def test_the_protocol_drifts_backwards_and_then_pushes_forwards(run):
    y_mm = 1000.0 * run["tip_position_m"][:, 1]  # the animal faces -y
    assert y_mm[499] - y_mm[99] > 2.0
    assert y_mm[999] - y_mm[499] < -5.0


def test_without_stimulus_there_is_no_push():
    body = MusculoskeletalBody(load(FORELIMB))
    y_mm = 1000.0 * protocol(body, stimulated=False)["tip_position_m"][:, 1]
    body.close()
    assert abs(y_mm[999] - y_mm[499]) < 1.0


def test_runs_repeat_bit_for_bit_in_a_new_body_and_after_a_reset(run):
    body = MusculoskeletalBody(load(FORELIMB))
    for _ in range(2):
        again = protocol(body)
        for name in run:
            assert again[name].tobytes() == run[name].tobytes(), name
    body.close()


def test_series_have_one_row_per_physics_step(run):
    assert {name: samples.shape for name, samples in run.items()} == {
        "joint_angle_rad": (1000, 6),
        "joint_speed_rad_s": (1000, 6),
        "tip_position_m": (1000, 3),
        "muscle_length_m": (1000, 8),
        "muscle_force_N": (1000, 8),
        "muscle_activation": (1000, 8),
        "fiber_length_m": (1000, 8),
    }
    assert all((np.diff(samples, axis=0) != 0.0).any() for samples in run.values())


def test_sensors_show_the_end_of_the_step():
    body = MusculoskeletalBody(load(FORELIMB), coupling_step_ms=10.0)
    body.muscles.excitation = BASE
    body.advance()
    for sensor, name in (
        (body.joints.angle_rad, "joint_angle_rad"),
        (body.tip.position_m, "tip_position_m"),
        (body.muscles.length_m, "muscle_length_m"),
        (body.muscles.force_N, "muscle_force_N"),
        (body.muscles.activation, "muscle_activation"),
    ):
        assert body.series[name].shape[0] == 10
        assert (sensor == body.series[name][-1]).all()
    assert body.time_ms == pytest.approx(10.0)
    body.close()


def test_driven_by_activation_a_command_acts_at_once():
    body = MusculoskeletalBody(load(FORELIMB), driven="activation")
    body.muscles.excitation = BASE
    body.advance()
    assert (body.series["muscle_activation"] == BASE).all()
    body.close()


def test_commands_are_clipped_to_what_a_muscle_can_have():
    body = MusculoskeletalBody(load(FORELIMB), driven="activation")
    body.muscles.excitation = -3.0
    body.muscles.excitation[1] = 7.0
    body.advance()
    assert body.muscles.activation.tolist() == [0.01, 1.0] + [0.01] * 6
    body.close()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_command_that_is_no_number_is_refused_by_name(value):
    body = MusculoskeletalBody(load(FORELIMB))
    body.muscles.excitation[body.muscles.index("Radius2")] = value
    with pytest.raises(ValueError, match=f"excitation of muscle Radius2 is {value} at 0 ms"):
        body.advance()
    with pytest.raises(ValueError, match=f"activation of muscle Foot1 is {value}"):
        body.reset(activation=value)
    body.close()


def test_a_diverging_body_is_stopped_with_time_and_joint():
    heavy_damping = [
        joint if joint.type == "fixed" else joint.model_copy(update={"damping_N_m_s_rad": 1.0})
        for joint in load(FORELIMB).joints
    ]
    body = MusculoskeletalBody(load(FORELIMB).model_copy(update={"joints": tuple(heavy_damping)}))
    body.muscles.excitation = BASE
    with pytest.raises(FloatingPointError, match=r"'forelimb' diverged at \d+ ms: joint \w+ turns at .* rad/s"):
        for _ in range(50):
            body.advance()
    reached = round(body.time_ms) % 20 - 1
    for name, samples in body.series.items():
        assert np.isfinite(samples[:reached]).all() and np.isnan(samples[reached:]).all(), name
    body.close()


@pytest.mark.parametrize("engine", ["pybullet", "mujoco"])
@pytest.mark.parametrize("tendon", ["rigid", "elastic"])
def test_the_protocol_pushes_with_both_engines_and_both_tendons(engine, tendon):
    pytest.importorskip(engine)
    body = MusculoskeletalBody(load(FORELIMB), tendon=tendon, engine=engine)
    y_mm = 1000.0 * protocol(body)["tip_position_m"][:, 1]
    body.close()
    assert y_mm[499] - y_mm[99] > 2.0
    assert y_mm[999] - y_mm[499] < -5.0


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"tendon": "soft"}, "tendon = 'soft': allowed are 'rigid' and 'elastic'"),
        ({"driven": "force"}, "driven = 'force': allowed are 'excitation' and 'activation'"),
    ],
)
def test_unknown_choices_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        MusculoskeletalBody(load(FORELIMB), **settings)


def test_ports_refuse_what_they_do_not_have():
    muscles = make_ports(load(FORELIMB))["muscles"]
    with pytest.raises(ValueError, match="shape .3,.*Foot1"):
        muscles.excitation = np.zeros(3)
    with pytest.raises(ValueError, match="'Foot3'.*Foot1"):
        muscles.index("Foot3")
    with pytest.raises(ValueError, match="read-only"):
        muscles.force_N[0] = 1.0
    with pytest.raises(AttributeError):
        muscles.force_N = np.ones(8)
    with pytest.raises(AttributeError):
        muscles.excitaton = np.ones(8)


def test_ports_need_no_pybullet():
    code = (
        "import sys; from cosim.body import kinds; from pathlib import Path; "
        f"kinds.make_ports(kinds.load(Path({str(FORELIMB)!r}))); sys.exit('pybullet' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    "coupling_ms, physics_ms, said",
    [
        (20.0, 3.0, "coupling_step_ms = 20 is no multiple of physics_step_ms = 3"),
        (20.0, 0.0, "physics_step_ms = 0"),
        (-20.0, 1.0, "coupling_step_ms = -20"),
        (0.5, 1.0, "no multiple"),
    ],
)
def test_steps_that_do_not_fit_are_refused(coupling_ms, physics_ms, said):
    with pytest.raises(ValueError, match=said):
        count_substeps(coupling_ms, physics_ms)


def test_steps_that_are_not_exact_in_binary_fit():
    assert count_substeps(0.3, 0.1) == 3
    assert count_substeps(20.0, 0.1) == 200


def test_an_unknown_way_of_driving_is_refused():
    with pytest.raises(ValueError, match="'force'.*'excitation' and 'activation'"):
        MusculoskeletalBody(load(FORELIMB), driven="force")
