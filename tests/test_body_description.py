# SPDX-License-Identifier: GPL-2.0-or-later
"""Body files: what is right is read, what is wrong is named."""

from pathlib import Path

import pytest

from cosim.body.kinds import load

FORELIMB = Path(__file__).parents[1] / "models/forelimb/body.toml"


def load_changed(folder, *changes):
    """Load the forelimb after each (old, new) of ``changes`` was made once in its text."""
    text = FORELIMB.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file = folder / "body.toml"
    file.write_text(text)
    return load(file)


def test_the_forelimb_is_read():
    body = load(FORELIMB)
    assert [muscle.name for muscle in body.muscles] == [
        "Foot1",
        "Foot2",
        "Radius1",
        "Radius2",
        "Humerus1",
        "Humerus2",
        "Humerus3",
        "Humerus4",
    ]
    assert [joint.name for joint in body.revolute_joints] == [
        "world_humerus",
        "humerus_helper_joint",
        "humerus_radius",
        "radius_foot",
        "joystick_world_joint",
        "joystick_helper_joint",
    ]


@pytest.mark.parametrize(
    "old, new, said",
    [
        (
            '{ link = "radius", point_m = [0.008502',
            '{ link = "radiu", point_m = [0.008502',
            ["muscles[Foot1].path[0].link", "'radiu'", "humerus_helper"],
        ),
        (
            "tendon_slack_length_m = 0.000536",
            "tendon_slack_length_m = 0",
            ["muscles[Foot1].tendon_slack_length_m = 0", "greater than 0"],
        ),
        ("xx = 1.2712434e-06", "xx = -1e-6", ["links[humerus].inertia_kg_m2.xx = -1e-06", "greater than 0"]),
        ("xx = 1.2712434e-06", "xx = 1.0", ["links[humerus].inertia_kg_m2", "larger than the sum"]),
        (
            "[0.004999999888, -0.000300000014, 0.0]",
            "[0.006, -0.0003, 0.0]",
            ["closures[foot_joystick]", "0.001 m apart", "1e-06 m is allowed"],
        ),
        (
            "limits_rad = [-0.3, 0.3]",
            "limits_rad = [0.3, -0.3]",
            ["joints[world_humerus].limits_rad = [0.3, -0.3]", "lower limit must be below"],
        ),
        ("axis = [0.0, 0.0, 1.0]", "axis = [0.0, 0.0, 2.0]", ["joints[world_humerus].axis", "length 1"]),
        ("axis = [0.0, 0.0, 1.0]", "axis = [0.0, 1.0]", ["joints[world_humerus].axis[2]", "required"]),
        ('type = "revolute"', 'type = "hinge"', ["joints[world_humerus]", "'hinge'", "'fixed', 'revolute'"]),
        ("mass_kg = 2.7e-05\n", "", ["links[radius].mass_kg", "required"]),
        ("mass_kg = 2.7e-05", "mass_kg = nan", ["links[radius].mass_kg = nan", "finite"]),
        ('joint = "joystick_world_joint"', 'joint = "stick"', ["efforts[0].joint = 'stick'", "joystick_world_joint"]),
        (
            "[0.01158, 0.000975, 0.00124]",
            "[0.008502, 0.00073, 0.00128]",
            ["muscles[Foot1].path[1].point_m = [0.008502, 0.00073, 0.00128]", "point before it"],
        ),
        ('colour = "knob"', 'colour = "red"', ["links[joystick].shapes[1].colour = 'red'", "bone, fur"]),
        (
            "view_from = [1.0, -0.35, 0.25]",
            "view_from = [0.0, 0.0, 1.0]",
            ["view_from = [0.0, 0.0, 1.0]", "horizontal"],
        ),
        ('name = "Foot2"', 'name = "Foot1"', ["muscles[Foot1]", "unique"]),
        ('parent = "world"\nchild = "Mouse"', 'parent = "foot"\nchild = "Mouse"', ["links[Mouse]", "'world'"]),
        ('child = "foot"', 'child = "radius"', ["links[radius]", "child of 2 joints"]),
        ('name = "forelimb"', "name = ", ["not valid TOML"]),
    ],
)
def test_a_wrong_file_is_refused_with_place_value_and_what_is_allowed(tmp_path, old, new, said):
    with pytest.raises(ValueError) as error:
        load_changed(tmp_path, (old, new))
    for part in [str(tmp_path / "body.toml"), *said]:
        assert part in str(error.value)


def test_all_problems_are_told_at_once(tmp_path):
    with pytest.raises(ValueError, match="2 problem") as error:
        load_changed(
            tmp_path,
            ("tendon_slack_length_m = 0.000536", "tendon_slack_length_m = 0"),
            ("mass_kg = 9e-06", "mass_kg = -1.0"),
        )
    assert "Foot1" in str(error.value) and "links[foot].mass_kg" in str(error.value)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "no.toml")
