# SPDX-License-Identifier: GPL-2.0-or-later
"""Bodies with muscles as a kind of bodies."""

from __future__ import annotations

from typing import Any

from cosim.body.kind import Body, Kind
from cosim.body.musculoskeletal.description import MusculoskeletalDescription
from cosim.body.musculoskeletal.ports import Ports, make_ports
from cosim.body.musculoskeletal.settings import MuscleSettings
from cosim.body.musculoskeletal.state import BodyState
from cosim.body.readers.include import include


def _make_ports(description: MusculoskeletalDescription) -> Ports:
    return make_ports(description, BodyState(description))


def _make_body(
    description: MusculoskeletalDescription, physics_step_ms: float, coupling_step_ms: float, **settings: Any
) -> Body:
    from cosim.body.musculoskeletal.body import MusculoskeletalBody  # numba takes a second: where a body starts

    return MusculoskeletalBody(description, physics_step_ms, coupling_step_ms, **settings)


KIND = Kind(MusculoskeletalDescription, _make_ports, _make_body, MuscleSettings, include)
