# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of bodies by name, and what can be made of a body file of any kind.

A body file says its kind by ``kind``; an experiment without a body has `NoBody`. Nothing here needs a physics engine
but `make_body`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel

from cosim.body import bodyfile, nobody
from cosim.body.kind import Body, Description, Kind
from cosim.body.musculoskeletal import kind as musculoskeletal
from cosim.body.vehicle import kind as vehicle

KINDS: dict[str, Kind] = {
    "musculoskeletal": musculoskeletal.KIND,
    "vehicle": vehicle.KIND,
}


def load(path: Path) -> Description:
    """Read and check the body file at ``path``, of any kind, with the files that it includes.

    Raises FileNotFoundError where there is no such file, and one ValueError that lists every problem found.
    """
    content = bodyfile.read(path)
    name = content.get("kind", "musculoskeletal")
    if name not in [*KINDS]:  # a list, as what stands in a file need not have a hash
        raise ValueError(f"{path}: kind = {name!r}: must be one of {', '.join(KINDS)}")
    kind = KINDS[name]
    return bodyfile.describe(path, kind.include(path, content), kind.description)


def to_toml(description: Description) -> str:
    """A body file that `load` can read, with all that the file of ``description`` included."""
    return tomli_w.dumps(description.model_dump(mode="json", exclude_none=True))


def settings(description: Description) -> type[BaseModel]:
    """The keys that ``[body]`` of an experiment with this body may have besides ``model``."""
    return _kind(description).settings


def make_ports(description: Description) -> Mapping[str, object]:
    """Ports of the same names and shapes as those of the body; they stand alone, for checks."""
    return _kind(description).make_ports(description)


def make_body(description: Description, physics_step_ms: float, coupling_step_ms: float, **settings: Any) -> Body:
    """The body itself; ValueError where the coupling step is no multiple of the physics step."""
    return _kind(description).make_body(description, physics_step_ms, coupling_step_ms, **settings)


def _kind(description: Description) -> Kind:
    return nobody.KIND if isinstance(description, nobody.NoBody) else KINDS[description.kind]
