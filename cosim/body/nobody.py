# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands where a body would be, as a description and in the loop, if an experiment has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from cosim.body.kind import Description, Kind
from cosim.body.touch import Untouchable


class NoBody(Description):
    """The description of no body."""

    kind: Literal["none"] = "none"


class Unmoved(Untouchable):
    """No body in the loop: nothing to command, nothing to sense, nothing to touch."""

    why_not = "this experiment has no body"
    ports: Mapping[str, object] = {}
    series: Mapping[str, np.ndarray] = {}
    columns: Mapping[str, Sequence[str]] = {}

    def advance(self) -> None:
        """Nothing moves."""

    def reset(self) -> None:
        """Nothing has moved."""

    def close(self) -> None:
        """Nothing is held."""


KIND = Kind(
    description=NoBody,
    make_ports=lambda _description: {},
    make_body=lambda _description, _physics_step_ms, _coupling_step_ms: Unmoved(),
)
