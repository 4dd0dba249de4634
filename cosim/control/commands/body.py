# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands for the body: push, place and hold its parts, set its joints. Positions and forces are in world axes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cosim.control.commands.base import Command
from cosim.control.steered_run import SteeredRun

Vector = tuple[float, float, float]


class Push(Command):
    """Push a part with a force and a torque, for a time from the next step on."""

    command: Literal["push"] = "push"
    part: str
    force_n: Vector = (0.0, 0.0, 0.0)
    torque_nm: Vector = (0.0, 0.0, 0.0)
    duration_ms: float = Field(gt=0)

    def act(self, run: SteeredRun) -> None:
        run.body.push(self.part, self.force_n, self.duration_ms, self.torque_nm)


class Place(Command):
    """Put a part to a place, at rest; ``quaternion`` is (x, y, z, w)."""

    command: Literal["place"] = "place"
    part: str
    position_m: Vector
    quaternion: tuple[float, float, float, float] | None = None

    def act(self, run: SteeredRun) -> None:
        run.body.place(self.part, self.position_m, self.quaternion)


class Hold(Command):
    """Grab a part and pull it to a position, until it is let go by a position of null."""

    command: Literal["hold"] = "hold"
    part: str
    position_m: Vector | None

    def act(self, run: SteeredRun) -> None:
        run.body.hold(self.part, self.position_m)


class SetJoints(Command):
    """Put the joints that are named at these angles, all at rest."""

    command: Literal["set_joints"] = "set_joints"
    angle_rad: dict[str, float] = Field(min_length=1)

    def act(self, run: SteeredRun) -> None:
        run.body.set_joints(self.angle_rad)
