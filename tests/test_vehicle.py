# SPDX-License-Identifier: GPL-2.0-or-later
"""A vehicle in its room: it steers by its wheels, stops at walls, and sees what the formula says."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY
from matplotlib.image import imread

from cosim.body.kinds import load, make_body, make_ports
from cosim.body.vehicle.light import intensity
from cosim.errors import ConfigurationError
from cosim.experiment.config import load as load_experiment
from cosim.results.run_data import RunData
from cosim.show.bodies.vehicle import PICTURES

HUSKY = REPOSITORY / "models/husky/body.toml"
WHEEL_RADIUS_M = 0.17775  # husky.urdf
COUPLING_MS = 20.0


@pytest.fixture(scope="module")
def description():
    return load(HUSKY)


@pytest.fixture
def husky(description):
    body = make_body(description, 4.0, COUPLING_MS)
    yield body
    body.close()


@pytest.fixture
def write(tmp_path):
    """Write Husky's body file with ``old`` replaced by ``new`` and return its path."""

    def to_file(old: str, new: str):
        text = HUSKY.read_text()
        assert old in text
        path = tmp_path / "body.toml"
        path.write_text(text.replace(old, new, 1))
        return path

    return to_file


def drive(body, left_rad_s: float, right_rad_s: float, seconds: float) -> None:
    body.ports["wheels"].left_rad_s, body.ports["wheels"].right_rad_s = left_rad_s, right_rad_s
    for _ in range(round(1000 * seconds / COUPLING_MS)):
        body.advance()


def test_equal_wheels_drive_straight_on_as_fast_as_they_roll(husky):
    drive(husky, 3.0, 3.0, seconds=1.0)  # up to speed
    x, y, _ = husky.ports["pose"].position_m.tolist()
    drive(husky, 3.0, 3.0, seconds=2.0)
    forward_m = husky.ports["pose"].position_m[0] - x
    assert forward_m == pytest.approx(2.0 * 3.0 * WHEEL_RADIUS_M, rel=0.02)
    assert husky.ports["pose"].position_m[1] == pytest.approx(y, abs=0.02)
    assert husky.ports["wheels"].speed_rad_s == pytest.approx([3.0, 3.0], abs=0.05)


@pytest.mark.parametrize(("left", "right", "sign"), [(2.0, 4.0, 1), (4.0, 2.0, -1), (-2.0, 2.0, 1)])
def test_it_turns_to_the_side_of_the_slower_wheels(husky, left, right, sign):
    drive(husky, left, right, seconds=3.0)
    assert sign * husky.ports["pose"].heading_rad > 0.3
    assert husky.ports["wheels"].speed_rad_s == pytest.approx([left, right], abs=0.2)


def test_it_stands_still_without_a_command(husky):
    start_m = husky.ports["pose"].position_m.copy()
    drive(husky, 0.0, 0.0, seconds=1.0)
    assert husky.ports["pose"].position_m == pytest.approx(start_m, abs=0.01)


def test_a_wall_stops_it_and_is_felt(husky):
    drive(husky, -5.6, -5.6, seconds=1.0)
    assert not husky.ports["contact"].touching
    drive(husky, -5.6, -5.6, seconds=3.0)
    assert husky.ports["contact"].touching
    assert -4.6 < husky.ports["pose"].position_m[0] < -4.3  # half of Husky's length before the wall at -5 m


def test_commands_are_clipped_to_what_motors_can_do_and_must_be_numbers(husky):
    wheels = husky.ports["wheels"]
    wheels.left_rad_s, wheels.right_rad_s = 100.0, -100.0
    assert (wheels.left_rad_s, wheels.right_rad_s) == (5.6, -5.6)
    with pytest.raises(ValueError, match=r"wheels.left_rad_s = nan: must be a finite number"):
        wheels.left_rad_s = float("nan")
    with pytest.raises(ValueError, match=r"wheels.right_rad_s = inf"):
        wheels.right_rad_s = float("inf")
    assert (wheels.left_rad_s, wheels.right_rad_s) == (5.6, -5.6)


@pytest.mark.parametrize(("port", "name", "value"), [
    ("wheels", "left_rads", 1.0), ("wheels", "speed_rad_s", np.ones(2)), ("pose", "heading_rad", 0.0),
    ("pose", "position_m", np.zeros(3)), ("light_sensors", "left", 1.0), ("contact", "touching", True),
    ("light", "distance_m", 1.0),
])  # fmt: skip
def test_sensors_and_misspelt_commands_cannot_be_set(description, port, name, value):
    with pytest.raises(AttributeError):
        setattr(make_ports(description)[port], name, value)


def test_arrays_of_ports_cannot_be_written(description):
    with pytest.raises(ValueError, match="read-only"):
        make_ports(description)["pose"].position_m[0] = 1.0


def test_intensity_follows_distance_and_angle():
    ahead, aside = np.array([[1.0, 0.0, 0.0]]), np.array([[0.6, 0.8, 0.0]])
    here, light_m = np.zeros((1, 3)), np.array([2.0, 0.0, 0.0])
    assert intensity(here, ahead, light_m, 3.0, 0.1) == pytest.approx([3.0 / 4])
    assert intensity(here, aside, light_m, 3.0, 0.1) == pytest.approx([0.6 * 3.0 / 4])
    assert intensity(here, -ahead, light_m, 3.0, 0.1) == [0.0]
    inside = intensity(here, ahead, light_m * 0.01, 3.0, 0.1)
    assert 0.0 < inside[0] <= 3.0 / 0.1**2


def test_the_eye_on_the_side_of_the_light_sees_more_and_a_moved_light_at_once(husky):
    eyes, light = husky.ports["light_sensors"], husky.ports["light"]
    assert eyes.left > 2 * eyes.right > 0.0
    light.position_m = [2.5, -2.5, 0.8]
    husky.advance()
    assert eyes.right > 2 * eyes.left > 0.0
    light.brightness = 0.0
    husky.advance()
    assert (eyes.left, eyes.right) == (0.0, 0.0)


@pytest.mark.parametrize(("name", "value"), [
    ("position_m", [1.0, 2.0]), ("position_m", [1.0, 2.0, np.nan]), ("brightness", -1.0), ("brightness", np.inf)
])  # fmt: skip
def test_a_light_that_makes_no_sense_is_refused(description, name, value):
    with pytest.raises(ValueError, match=f"light.{name} = "):
        setattr(make_ports(description)["light"], name, value)


def test_series_hold_every_physics_step(husky):
    drive(husky, 1.0, 3.0, seconds=0.5)
    assert {name: rows.shape for name, rows in husky.series.items()} == {
        "position_m": (5, 3), "heading_rad": (5, 1), "wheel_speed_rad_s": (5, 2), "light_intensity": (5, 2),
        "light_position_m": (5, 3), "light_brightness": (5, 1), "touching": (5, 1),
    }  # fmt: skip
    assert {name: len(columns) for name, columns in husky.columns.items()} == {
        name: rows.shape[1] for name, rows in husky.series.items()
    }
    assert np.all(np.diff(husky.series["position_m"][:, 0]) > 0)
    assert husky.series["position_m"][-1].tolist() == husky.ports["pose"].position_m.tolist()
    assert husky.series["light_intensity"][-1, 0] == husky.ports["light_sensors"].left


def test_two_runs_are_identical_bit_for_bit(description):
    runs = []
    for _ in range(2):
        body = make_body(description, 4.0, COUPLING_MS)
        drive(body, 5.0, 5.6, seconds=6.0)  # into the lamp post and along it
        runs.append({name: rows.tobytes() for name, rows in body.series.items()})
        assert body.ports["contact"].touching
        body.close()
    assert runs[0] == runs[1]


@pytest.mark.parametrize(("old", "new", "said"), [
    ('"front_left_wheel"', '"front_wheel"', r"wheels.left: no wheel 'front_wheel' .* front_left_wheel, "),
    ("husky/husky.urdf", "husky/huskie.urdf", r"urdf = 'husky/huskie.urdf': there is no file"),
    ("position_m = [-2.5, 0.0]", "position_m = [-5.5, 0.0]", r"start.position_m = .*: outside the room.*5 m"),
    ("max_torque_N_m = 40.0", "max_torque_N_m = 0.0", r"wheels.max_torque_N_m = 0.0: .*greater than 0"),
    ("direction = [1.0, 1.0, 0.0]", "direction = [0.0, 0.0, 0.0]", r"light_sensors.left.direction"),
    ("side_m = 10.0", "side_m = 10.0\nroof = 1", r"room.roof"),
])  # fmt: skip
def test_a_wrong_body_file_is_refused_with_what_is_allowed(write, old, new, said):
    with pytest.raises(ValueError, match=said):
        load(write(old, new))


@pytest.mark.parametrize(("wrong", "said"), [
    ('<joint name="front_left" type="continuous"/>', "joint front_left: child.link is missing"),
    ('<joint type="continuous"><child link="wheel"/></joint>', "joint: name is missing"),
    ('<link name="wheel"><visual><geometry><mesh/></geometry></visual></link>', "mesh: filename is missing"),
])  # fmt: skip
def test_a_wrong_urdf_is_refused_before_the_body_starts(write, tmp_path, wrong, said):
    (tmp_path / "cart.urdf").write_text(f"<robot>{wrong}</robot>")
    with pytest.raises(ValueError, match=f"cart.urdf: {said}"):
        load(write("husky/husky.urdf", str(tmp_path / "cart.urdf")))


def test_steps_that_do_not_fit_are_refused(description):
    with pytest.raises(ValueError, match="coupling_step_ms = 20 is no multiple of physics_step_ms = 3"):
        make_body(description, 3.0, COUPLING_MS)


def test_ways_of_driving_muscles_are_no_keys_of_a_vehicle():
    with pytest.raises(ConfigurationError, match="--set body.driven: body.driven: unknown key in body"):
        load_experiment("braitenberg", ["body.driven=excitation"])


def test_the_description_and_its_ports_need_no_pybullet():
    code = (
        "import sys; from pathlib import Path; from cosim.body.kinds import load, make_ports; "
        f"make_ports(load(Path({str(HUSKY)!r}))); sys.exit('pybullet' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0


def test_loading_a_vehicle_prints_nothing(description):
    code = (
        "from pathlib import Path; from cosim.body.kinds import load, make_body; "
        f"make_body(load(Path({str(HUSKY)!r})), 4.0, 20.0).close()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


class OneRun(RunData):
    """The data of a run that was never written."""

    def __init__(self, body: dict[str, np.ndarray]) -> None:
        self.body = body


def test_the_picture_shows_the_vehicle_where_it_ended(description, tmp_path):
    def drawn(end_m):
        way = np.linspace([-2.5, 0.0, 0.0], end_m, 50)
        fixed = {"heading_rad": np.zeros((50, 1)), "light_position_m": np.tile([2.5, 2.5, 0.8], (50, 1))}
        run = OneRun({"time_ms": np.arange(50.0), "position_m": way, **fixed})
        PICTURES.draw_run(tmp_path / "body.png", description, run)
        return imread(tmp_path / "body.png")[..., :3]

    near, far = drawn([-1.0, 0.0, 0.0]), drawn([1.0, 1.0, 0.0])
    assert near.shape == far.shape
    yellow = (near[..., 0] > 0.6) & (near[..., 1] > 0.6) & (near[..., 2] < 0.3)  # Husky's top and the light
    assert yellow.sum() > 200
    assert (near != far).any(axis=2).mean() > 0.01
