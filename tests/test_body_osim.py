# SPDX-License-Identifier: GPL-2.0-or-later
"""Muscles from OpenSim files: what they say is taken over, what cannot be represented is refused."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from conftest import REPOSITORY
from leg import refused, write

from cosim.body.kinds import load
from cosim.body.readers import osim

FORELIMB = REPOSITORY / "models/forelimb/body.toml"
FORELIMB_OSIM = REPOSITORY / "tests/data/forelimb.osim"


def old_layout(text: str) -> str:
    text = text.replace("<socket_parent_frame>/bodyset/", "<body>")
    return text.replace("</socket_parent_frame>", "</body>")


@pytest.mark.parametrize(
    "layout", [lambda text: text, old_layout, lambda text: text.replace("/bodyset/", "../../bodyset/")]
)
def test_muscles_that_opensim_wrote_are_those_of_the_forelimb(tmp_path, layout):
    (tmp_path / "muscles.osim").write_text(layout(FORELIMB_OSIM.read_text()))
    assert osim.read(tmp_path / "muscles.osim") == load(FORELIMB).muscles


def test_every_number_of_a_muscle_is_taken_over(tmp_path):
    flexor, extensor = load(write(tmp_path)).muscles
    assert flexor.model_dump() == {
        "name": "flexor",
        "max_isometric_force_N": 300.0,
        "optimal_fiber_length_m": 0.15,
        "tendon_slack_length_m": 0.05,
        "pennation_rad": 0.2,
        "max_contraction_velocity_per_s": 8.0,
        "fiber_damping": 0.05,
        "activation_time_constant_s": 0.015,
        "deactivation_time_constant_s": 0.05,
        "minimum_activation": 0.02,
        "path": ({"link": "thigh", "point_m": (-0.02, 0.0, -0.05)}, {"link": "shank", "point_m": (0.05, 0.0, -0.03)}),
    }
    assert (extensor.fiber_damping, extensor.minimum_activation) == (0.1, 0.01)  # OpenSim's defaults


def test_the_defaults_of_a_file_count(tmp_path):
    defaults = (
        "<defaults><Millard2012EquilibriumMuscle><fiber_damping>0.01</fiber_damping>"
        "</Millard2012EquilibriumMuscle></defaults>"
    )
    flexor, extensor = load(write(tmp_path, osim=[("<Model>", f"<Model>{defaults}")])).muscles
    assert (flexor.fiber_damping, extensor.fiber_damping) == (0.05, 0.01)


@pytest.mark.parametrize("flag", ["<appliesForce>false</appliesForce>", "<isDisabled>true</isDisabled>"])
def test_muscles_that_are_not_in_use_are_left_out(tmp_path, flag):
    body = load(write(tmp_path, osim=[("<isDisabled>false</isDisabled>", flag)]))
    assert [muscle.name for muscle in body.muscles] == ["flexor"]


@pytest.mark.parametrize(
    "place, new, said",
    [
        (
            f".//{osim.SUPPORTED}",
            "Thelen2003Muscle",
            ["muscles[flexor]: Thelen2003Muscle is not supported, only Millard2012EquilibriumMuscle"],
        ),
        (
            ".//PathPoint[@name='P2']",
            "MovingPathPoint",
            ["muscles[flexor].path[1]: MovingPathPoint 'P2'", "only PathPoint"],
        ),
        (
            ".//PathPoint",
            "ConditionalPathPoint",
            ["muscles[flexor].path[0]: ConditionalPathPoint 'P1'", "only PathPoint"],
        ),
        (".//GeometryPath", "FunctionBasedPath", ["muscles[flexor]: it has no GeometryPath"]),
        (".//ForceSet", "ControllerSet", ["no Millard2012EquilibriumMuscle"]),
    ],
)
def test_classes_that_cannot_be_represented_are_refused(tmp_path, place, new, said):
    body_file = write(tmp_path)
    file = body_file.parent / "leg.osim"
    tree = ElementTree.parse(file)
    tree.find(place).tag = new
    tree.write(file)
    message = refused(lambda: load(body_file))
    for part in [str(file), *said]:
        assert part in message


@pytest.mark.parametrize(
    "old, new, said",
    [
        (
            "<PathWrapSet><objects/>",
            "<PathWrapSet><objects><PathWrap><wrap_object>bone</wrap_object></PathWrap></objects>",
            ["muscles[extensor]: PathWrap around 'bone'", "straight"],
        ),
        (
            "strain_at_one_norm_force>0.049",
            "strain_at_one_norm_force>0.033",
            ["muscles[flexor]:", "not TendonForceLengthCurve/strain_at_one_norm_force = 0.033 (default 0.049)"],
        ),
        (
            "minimum_value>0.1",
            "minimum_value>0.2",
            ["muscles[flexor]:", "not ActiveForceLengthCurve/minimum_value = 0.2 (default 0)"],
        ),
        (
            "<max_isometric_force>300",
            "<max_isometric_force>strong",
            ["muscles[flexor].max_isometric_force = 'strong'", "1 number"],
        ),
        ("<max_isometric_force>300", "<max_isometric_force>-300", ["muscles[flexor].max_isometric_force_N = -300.0"]),
        ("<fiber_damping>0.05", "<fiber_damping>nan", ["muscles[flexor].fiber_damping = nan", "finite"]),
        ("<max_isometric_force>300</max_isometric_force>", "", ["muscles[flexor]: max_isometric_force is missing"]),
        (
            "<location>-0.02 0 -0.05<",
            "<location>-0.02 0<",
            ["muscles[flexor].path[0].location = '-0.02 0'", "3 numbers"],
        ),
        ("<location>-0.02 0 -0.05</location>", "", ["muscles[flexor].path[0]: PathPoint 'P1' has no location"]),
        (
            "<body>shank",
            "<body>tibia",
            ["muscles[extensor].path[1]: body 'tibia'", "there are base, thigh, shank, foot"],
        ),
        (
            "/bodyset/femur",
            "/jointset/knee/femur_offset",
            ["muscles[flexor].path[0]: frame '/jointset/knee/femur_offset'"],
        ),
        ("<body>shank</body>", "", ["muscles[extensor].path[1]: frame '' is no body"]),
        ("</Model>", "", ["not valid XML", "mismatched tag"]),
    ],
)
def test_values_that_cannot_be_represented_are_refused(tmp_path, old, new, said):
    file = write(tmp_path, osim=[(old, new)])
    message = refused(lambda: load(file))
    for part in [str(file.parent / "leg.osim"), *said]:
        assert part in message
