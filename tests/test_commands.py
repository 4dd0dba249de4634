# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands as they are said, written down, and said again by a run that is resumed."""

from __future__ import annotations

import json

import pytest

from cosim.control.commands.registry import COMMANDS, parse

SAID = [
    {"command": "pause"},
    {"command": "go"},
    {"command": "step"},
    {"command": "step", "steps": 3},
    {"command": "run_until", "t_ms": 100.0},
    {"command": "pace", "factor": 2.0},
    {"command": "pace", "factor": None},
    {"command": "stop"},
    {"command": "mark", "text": "here"},
    {"command": "status"},
    {"command": "set_port", "port": "light", "attribute": "rate_hz", "value": [1.0, 2.0], "hold": True},
    {"command": "set_port", "port": "light", "attribute": "rate_hz", "value": 1.0},
    {"command": "release_port", "port": "light", "attribute": "rate_hz"},
    {"command": "send", "port": "injector", "times_ms": [101.0], "neurons": 3},
    {"command": "send", "port": "injector", "times_ms": 101.5},
    {"command": "set_protocol", "key": "light_m", "value": None},
    {"command": "set_population", "population": "E[0:10]", "parameters": {"V_th": -50.0}},
    {"command": "get_population", "population": "E", "parameters": ["V_th"]},
    {"command": "scale_weights", "source": "E", "target": "I", "factor": 0.5},
    {"command": "tf", "action": "add", "name": None, "text": "def f(): pass"},
    {"command": "tf", "action": "disable", "name": "f"},
    {"command": "tf", "action": "disable", "name": "f", "silence": True},
    {"command": "push", "part": "hand", "duration_ms": 5.0},
    {"command": "place", "part": "ball", "position_m": [1.0, 2.0, 3.0], "quaternion": None},
    {"command": "hold", "part": "hand", "position_m": None},
    {"command": "set_joints", "angle_rad": {"elbow": 1.2}},
    {"command": "drive", "name": "/tmp/loop"},
    {"command": "functions"},
    {"command": "reset", "what": "all", "overrides": ["seed=4"]},
]


def test_every_command_is_said_here():
    assert {each["command"] for each in SAID} == set(COMMANDS)


@pytest.mark.parametrize("said", SAID, ids=str)
def test_what_is_written_down_is_what_was_said(said):
    command = parse(said)
    written = json.loads(json.dumps(command.to_json()))
    assert written == said
    assert parse(written) == command
