# SPDX-License-Identifier: GPL-2.0-or-later
"""The seam between a body and the physics engine that moves its mechanism, cut at joint space.

Muscles live above it and hand down joint torques, so that every engine moves the same body in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Protocol

import numpy as np

from cosim.body.musculoskeletal.description import MusculoskeletalDescription

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

    def bare_step(self, step_s: float) -> Callable[[], object]:
        """The engine's own call for a step of ``step_s`` without torques, with nothing of ours around it.

        For benchmarks: what a step costs at least.
        """

    def close(self) -> None:
        """Release what the engine holds."""


def kept_apart(description: MusculoskeletalDescription) -> Iterator[tuple[str, str]]:
    """Pairs of solid links that never touch: parents and their children, and links that are held together."""
    joint = {joint.child: joint for joint in description.joints}

    def rigid_part(link: str) -> str:
        """The uppermost link to which ``link`` is fixed."""
        above = joint.get(link)
        return rigid_part(above.parent) if above is not None and above.type == "fixed" else link

    for a, b in combinations([link.name for link in description.solid_links], 2):
        if joint[a].parent == b or joint[b].parent == a or rigid_part(a) == rigid_part(b):
            yield a, b
