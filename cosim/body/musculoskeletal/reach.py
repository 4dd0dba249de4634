# SPDX-License-Identifier: GPL-2.0-or-later
"""Joint angles that bring a part of a limb to a place, or follow joints that are set: inverse kinematics.

Limits are kept and loops stay closed. Of all ways the one that moves joints least from where they are is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from cosim.body.musculoskeletal.description import CLOSURE_TOLERANCE_M, MusculoskeletalDescription
from cosim.body.musculoskeletal.leverage import Leverage
from cosim.body.touch import number, position, shown

# How far from where it was wanted a part may come to lie, as a part of its distance from its farthest joint.
NEAR = 0.1
# How much more a loop counts than the place of the part, and the part than joints that need not move.
LOOP, LEAST = 100.0, 1e-3

Residual = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class Reach:
    """Where the joints of ``description`` have to be."""

    def __init__(self, description: MusculoskeletalDescription, leverage: Leverage) -> None:
        self._leverage, self._closures = leverage, description.closures
        self._names = [joint.name for joint in description.revolute_joints]
        limits = [joint.limits_rad or (-np.inf, np.inf) for joint in description.revolute_joints]
        self._low, self._high = np.array(limits).T

    def part(self, angle_rad: np.ndarray, part: str, position_m: object) -> np.ndarray:
        """Angles (n_joints,), from ``angle_rad`` on, that bring ``part`` as near to ``position_m`` as joints let it.

        Raises ValueError where there is no such part, or where it comes no nearer than a tenth of its distance
        from its farthest joint.
        """
        if part not in self._leverage.parts:
            raise ValueError(f"place: part = {shown(part)}: allowed are {', '.join(self._leverage.parts)}")
        wanted = position(position_m)

        def residual(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            at_m, jacobian = self._leverage.position(part, angle)
            return at_m - wanted, jacobian

        found = self._solve(angle_rad, np.ones(len(angle_rad), dtype=bool), residual, self._leverage.lever_m(part))
        reached = self._leverage.position(part, found)[0]
        away = float(np.linalg.norm(reached - wanted))
        if away > NEAR * self._leverage.lever_m(part):
            raise ValueError(
                f"place: {part} cannot be at {_text(wanted)} m: the nearest place found that its joints allow is "
                f"{_text(reached)} m, {away:.3g} m away"
            )
        return found

    def joints(self, angle_rad: np.ndarray, wanted: object) -> np.ndarray:
        """Angles (n_joints,) with those of the joints in ``wanted``; others only move where a loop demands it.

        Raises ValueError where there is no such joint, an angle is beyond its limits, or a loop would open.
        """
        if not isinstance(wanted, Mapping):
            raise ValueError(f"angle_rad = {shown(wanted)}: must be angles by the names of joints")
        start, free = angle_rad.copy(), np.ones(len(angle_rad), dtype=bool)
        for name, angle in wanted.items():
            joint = self._index(name)
            start[joint], free[joint] = self._allowed(joint, angle), False
        return self._solve(start, free, lambda angle: (np.zeros(0), np.zeros((0, len(angle)))), 1.0)

    def _index(self, name: object) -> int:
        if name not in self._names:
            raise ValueError(f"set_joints: no joint is called {shown(name)}, there are {', '.join(self._names)}")
        return self._names.index(name)

    def _allowed(self, joint: int, value: object) -> float:
        angle, low, high = number(f"angle of joint {self._names[joint]}", value), self._low[joint], self._high[joint]
        if not low <= angle <= high:
            raise ValueError(
                f"set_joints: angle of joint {self._names[joint]} = {angle:g} rad: allowed is {low:g} to {high:g} rad"
            )
        return angle

    def _checked(self, angle_rad: np.ndarray) -> np.ndarray:
        """``angle_rad`` as they are; ValueError where a loop is open."""
        for closure, gap in zip(self._closures, self._leverage.gap(angle_rad)[0].reshape(-1, 3), strict=True):
            if np.linalg.norm(gap) > CLOSURE_TOLERANCE_M:
                raise ValueError(
                    f"the nearest angles found leave the loop {closure.name} open by "
                    f"{np.linalg.norm(gap):.3g} m, allowed is at most {CLOSURE_TOLERANCE_M:g} m"
                )
        return angle_rad

    def _solve(self, start: np.ndarray, free: np.ndarray, residual: Residual, size_m: float) -> np.ndarray:
        """Angles near ``start``, of which the ``free`` ones change, with closed loops and the least ``residual``."""
        if not free.any():
            return self._checked(start)
        from scipy.optimize import least_squares  # takes a while: where it is needed

        def whole(changed: np.ndarray) -> np.ndarray:
            angle = start.copy()
            angle[free] = changed
            return angle

        def both(changed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            angle = whole(changed)
            (value, slope), (gap, gap_slope) = residual(angle), self._leverage.gap(angle)
            least = LEAST * (changed - start[free])
            slopes = [LOOP * gap_slope[:, free] / size_m, slope[:, free] / size_m, LEAST * np.eye(free.sum())]
            return np.concatenate([LOOP * gap / size_m, value / size_m, least]), np.concatenate(slopes)

        bounds = self._low[free], self._high[free]
        first = np.clip(start[free], *bounds)
        found = least_squares(
            lambda x: both(x)[0], first, lambda x: both(x)[1], bounds, xtol=1e-12, ftol=1e-12, gtol=1e-14
        )
        return self._checked(self._closed(whole(found.x), free))

    def _closed(self, angle_rad: np.ndarray, free: np.ndarray) -> np.ndarray:
        """The nearest angles at which loops are closed up to rounding, from some where they almost are."""
        for _ in range(3):
            gap, slope = self._leverage.gap(angle_rad)
            angle_rad = angle_rad.copy()
            angle_rad[free] -= np.linalg.pinv(slope[:, free], rcond=1e-6) @ gap
        return angle_rad


def _text(position_m: np.ndarray) -> str:
    return f"[{', '.join(f'{each:.4g}' for each in position_m)}]"
