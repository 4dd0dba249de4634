# SPDX-License-Identifier: GPL-2.0-or-later
"""Body files that include OpenSim and URDF files."""

from __future__ import annotations

import numpy as np
import pytest
from leg import refused, write

from cosim.body.kinds import load, make_body, to_toml


def test_a_body_of_included_files_moves(tmp_path):
    body = make_body(load(write(tmp_path)), physics_step_ms=1.0, coupling_step_ms=20.0)
    try:
        body.reset(angle_rad=[0.0, 0.3])
        start = body.tip.position_m.copy()
        for _ in range(10):
            body.muscles.excitation[body.muscles.index("flexor")] = 0.5
            body.advance()
        assert body.joints.angle_rad[body.joints.index("knee")] > 0.5
        assert np.linalg.norm(body.tip.position_m - start) > 0.02
    finally:
        body.close()


def test_the_body_file_adds_to_what_it_includes(tmp_path):
    more = """
[colours]
blue = [0.0, 0.0, 0.5]
[[links]]
name = "ball"
position_m = [0.0, 0.0, 0.5]
mass_kg = 0.2
inertia_kg_m2 = { xx = 1e-4, yy = 1e-4, zz = 1e-4 }
[[joints]]
name = "hold"
type = "fixed"
parent = "foot"
child = "ball"
[[muscles]]
name = "cord"
max_isometric_force_N = 100
optimal_fiber_length_m = 0.1
tendon_slack_length_m = 0.01
path = [{ link = "base", point_m = [0.1, 0.0, 0.0] }, { link = "ball", point_m = [0.0, 0.0, 0.0] }]
"""
    file = write(tmp_path)
    file.write_text(file.read_text() + more)
    body = load(file)
    assert [link.name for link in body.links] == ["base", "thigh", "shank", "foot", "ball"]
    assert [joint.name for joint in body.joints][-2:] == ["ankle", "hold"]
    assert [muscle.name for muscle in body.muscles] == ["flexor", "extensor", "cord"]
    assert body.colours["blue"] == (0.0, 0.0, 0.5)
    wrong = file.read_text().replace('name = "cord"', 'name = "flexor"')
    file.write_text(wrong.replace('parent = "foot"', 'parent = "toe"'))
    message = refused(lambda: load(file))
    for part in [str(file), "muscles[flexor]: 2 muscles have this name", "joints[hold].parent = 'toe'"]:
        assert part in message


def test_a_body_of_included_files_can_be_saved_as_one_file(tmp_path):
    body = load(write(tmp_path))
    (tmp_path / "saved.toml").write_text(to_toml(body))
    assert load(tmp_path / "saved.toml") == body


@pytest.mark.parametrize(
    "old, new, said",
    [
        ('urdf = "leg.urdf"', 'urdf = "arm.urdf"', ["urdf = 'arm.urdf'", "there is no file"]),
        ('osim = "leg.osim"', "osim = 3", ["osim = 3", "name of a file"]),
        ('osim = "leg.osim"', "", ["osim_bodies is of no use without osim"]),
        ('femur = "thigh"', 'femur = "thigh", fibula = "shank"', ["osim_bodies.fibula", "there are femur, shank"]),
        ('femur = "thigh"', "femur = 1", ["osim_bodies = {'femur': 1}", "names of links"]),
        ('link = "foot"', 'link = "toe"', ["tip.link = 'toe'", "thigh, shank"]),
        (
            "tip = ",
            "links = [{ name = 'ball', position_m = [0, 0, 0], mass_kg = -1 }]\ntip = ",
            ["links[ball].mass_kg = -1", "links[ball].inertia_kg_m2: Field required"],
        ),
        ("name = ", "links = 3\nname = ", ["body 'thigh' is no link"]),
        ("name = ", "muscles = 3\nname = ", ["muscles = 3"]),
    ],
)
def test_a_wrong_body_file_is_refused(tmp_path, old, new, said):
    file = write(tmp_path, toml=[(old, new)])
    message = refused(lambda: load(file))
    for part in [str(file.parent), *said]:
        assert part in message
