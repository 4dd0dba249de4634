# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kinds of bodies can be drawn: one line for each. Of a kind without one there are no pictures."""

from __future__ import annotations

from pkgutil import resolve_name

from cosim.body.kind import Description
from cosim.show.bodies.pictures import Pictures

# Where its `Pictures` are; imported when something is drawn, as PyBullet is then.
KINDS: dict[str, str] = {
    "musculoskeletal": "cosim.show.bodies.musculoskeletal:PICTURES",
    "vehicle": "cosim.show.bodies.vehicle:PICTURES",
}


def pictures_of(description: Description) -> Pictures | None:
    """How a body is drawn; None of a kind that is not."""
    place = KINDS.get(description.kind)
    return resolve_name(place) if place else None
