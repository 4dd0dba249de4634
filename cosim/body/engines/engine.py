# SPDX-License-Identifier: GPL-2.0-or-later
"""The seam between a body and the physics engine that moves its mechanism, cut at joint space.

Muscles live above it and hand down joint torques, so that every engine moves the same body in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from itertools import combinations
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from cosim.body.musculoskeletal.description import Description

EngineName = Literal["pybullet", "mujoco"]

# Coulomb friction between any two solid shapes, in all engines; the usual value in robotics.
FRICTION = 0.5


class Engine(Protocol):
    """The mechanism of a description: links, joints, loop closures, solid shapes, gravity; no muscles.

    Angles (rad), speeds (rad/s) and torques (N m) are arrays (n_joints,) in the order of the description's
    revolute joints. Runs from the same `reset` are identical bit for bit.
    """

    def reset(self, angle_rad: np.ndarray, speed_rad_s: np.ndarray) -> None:
        """Put the joints at these angles and speeds and forget everything else."""

    def state(self) -> tuple[np.ndarray, np.ndarray]:
        """Joint angles and speeds."""

    def step(self, torque_N_m: np.ndarray, step_s: float) -> None:
        """Advance by ``step_s`` under constant joint torques, joint damping and gravity."""

    def loop_error(self) -> float:
        """Largest distance in m between the two points of a loop closure; 0 where there are no closures."""

    def contact_force_N(self) -> np.ndarray:
        """Sum of the normal forces on each solid link (n_solid_links,) in the last step."""

    def save(self) -> dict[str, np.ndarray]:
        """The whole state, from which `restore` goes on bit for bit, also in another process."""

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Go back to what `save` returned."""

    def close(self) -> None:
        """Release what the engine holds."""


def is_installed(name: EngineName) -> bool:
    """Whether the package of the engine ``name`` can be imported."""
    return find_spec(name) is not None


def start(name: EngineName, description: Description) -> Engine:
    """The mechanism of ``description`` in a world of its own of the engine ``name``, all joints at rest."""
    if name == "mujoco":
        from cosim.body.engines.mujoco import MuJoCoEngine

        return MuJoCoEngine(description)
    from cosim.body.engines.pybullet import PyBulletEngine

    return PyBulletEngine(description)


def kept_apart(description: Description) -> Iterator[tuple[str, str]]:
    """Pairs of solid links that never touch: parents and their children, and links that are held together."""
    joint = {joint.child: joint for joint in description.joints}

    def rigid_part(link: str) -> str:
        """The uppermost link to which ``link`` is fixed."""
        above = joint.get(link)
        return rigid_part(above.parent) if above is not None and above.type == "fixed" else link

    for a, b in combinations([link.name for link in description.solid_links], 2):
        if joint[a].parent == b or joint[b].parent == a or rigid_part(a) == rigid_part(b):
            yield a, b
