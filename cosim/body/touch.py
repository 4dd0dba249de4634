# SPDX-License-Identifier: GPL-2.0-or-later
"""Hands on a body: pushes that last a while, and grips that hold a part where they want it. All kinds share this.

A kind that can be touched is `Touchable`: it makes its `Hands`, asks them before every physics step which forces act,
and says of a part where it is and how it gives way (`HeldPoint`). A kind that cannot be touched is `Untouchable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as shown  # a long value must not make a long message
from typing import Any, NamedTuple

import numpy as np

from cosim.timegrid import is_multiple

# A grip closes a gap as (1 + r t) exp(-r t), critically damped, with this rate r: within 1 % after 33 ms. The grip
# of a part that weighs m at its point is a spring of m r^2 and a damper of 2 m r: 40 N/mm and 400 N s/m for 1 kg.
GRIP_RATE_PER_S = 200.0
# It acts with the force of the beginning of a physics step all the step long, which is stable up to r step = 1.
GRIP_RATE_PER_STEP = 0.2
# What gives way less than this, as a part of what gives way most, is not pulled: there joints would turn by much
# where the part moves by little.
STIFF = 0.03
# Nothing is farther away; squares of distances are numbers then.
FAR_M = 1e6

NO_TORQUE = (0.0, 0.0, 0.0)


class HeldPoint(NamedTuple):
    """The point of a part by which hands hold it, in the world.

    ``mobility_per_kg`` (3, 3) times a force (N) is the acceleration (m/s^2) that it gives to the point. A grip
    pulls it with ``top_speed_m_s`` at most.
    """

    position_m: np.ndarray
    speed_m_s: np.ndarray
    mobility_per_kg: np.ndarray
    top_speed_m_s: float


class Touch(NamedTuple):
    """What acts on a part in a physics step, in the axes of the world."""

    part: str
    force_n: np.ndarray
    torque_nm: np.ndarray


@dataclass
class _Push:
    touch: Touch
    steps_left: int


class Hands:
    """All pushes and grips on a body whose physics steps take ``step_ms``; they reach the parts ``names``."""

    def __init__(self, names: Sequence[str], step_ms: float) -> None:
        self._names, self._step_ms = tuple(names), step_ms
        self._rate_per_s = min(GRIP_RATE_PER_S, GRIP_RATE_PER_STEP / (step_ms / 1000.0))
        self._pushes: list[_Push] = []
        self._held_at_m: dict[str, np.ndarray] = {}

    def __bool__(self) -> bool:
        """Whether anything acts."""
        return bool(self._pushes or self._held_at_m)

    def push(self, part: str, force_n: Any, duration_ms: Any, torque_nm: Any = NO_TORQUE) -> None:
        """Push as `Touchable.push` says."""
        self._check(part, "push")
        touch = Touch(part, vector("force_n", force_n), vector("torque_nm", torque_nm))
        self._pushes.append(_Push(touch, self._steps(duration_ms)))

    def hold(self, part: str, position_m: Any) -> None:
        """Hold or let go as `Touchable.hold` says."""
        self._check(part, "hold")
        if position_m is not None:
            self._held_at_m[part] = position(position_m)
        elif self._held_at_m.pop(part, None) is None:
            raise ValueError(f"hold: {part} is not held; held are {', '.join(self._held_at_m) or 'none'}")

    def let_go(self) -> None:
        """Take all hands off the body."""
        self._pushes.clear()
        self._held_at_m.clear()

    def touches(self, at: Callable[[str], HeldPoint]) -> Iterator[Touch]:
        """What acts in the physics step that comes, in the order in which it was asked for; counts the steps.

        ``at`` says of a part where it is and how it gives way.
        """
        for push in self._pushes:
            push.steps_left -= 1
            yield push.touch
        self._pushes = [push for push in self._pushes if push.steps_left > 0]
        for part, target_m in self._held_at_m.items():
            # Several grips may pull at the same masses: together they are no stiffer than one.
            force_n = grip(at(part), target_m, self._rate_per_s) / len(self._held_at_m)
            yield Touch(part, force_n, np.zeros(3))

    def _check(self, part: str, verb: str) -> None:
        if part not in self._names:
            raise ValueError(f"{verb}: part = {shown(part)}: allowed are {', '.join(self._names)}")

    def _steps(self, duration_ms: Any) -> int:
        """Physics steps in ``duration_ms``."""
        duration = number("duration_ms", duration_ms)
        if not is_multiple(duration, self._step_ms):
            raise ValueError(
                f"duration_ms = {duration:g}: allowed are positive multiples of the physics step, {self._step_ms:g} ms"
            )
        return round(duration / self._step_ms)


class Touchable:
    """What hands can do to a body of any kind: the part of `cosim.body.kind.Body` that needs only `Hands`."""

    _hands: Hands

    def push(
        self,
        part: str,
        force_n: Sequence[float],
        duration_ms: float,
        torque_nm: Sequence[float] = NO_TORQUE,
    ) -> None:
        """Push ``part`` from the next physics step on, for ``duration_ms``.

        ``force_n`` (3,) acts at the centre of mass of the part, be it a link or a whole vehicle ("tip" is the tip
        itself), and goes along with it. ``torque_nm`` (3,) turns the part. Both are in the axes of the world and stay
        constant. Pushes that act at once add up. ValueError, and nothing changes, where there is no such part, a
        number is not finite, or ``duration_ms`` is no multiple of the physics step.
        """
        self._hands.push(part, force_n, duration_ms, torque_nm)

    def hold(self, part: str, position_m: Sequence[float] | None) -> None:
        """Grab ``part`` and pull the point that `push` pushes to ``position_m`` (3,), from the next physics step on.

        None lets go of it. A part that is held already is pulled to the new place from now on. A spring and a damper
        pull, critically damped with a rate r of 200/s, or less with physics steps above 1 ms (r = 0.2 / step): for a
        part that weighs m at its point the spring has m r^2 and the damper 2 m r. So what else pulls with a force f
        moves the part away by f / (m r^2), and several grips share that stiffness. From far away a part
        comes no faster than 1 m/s (vehicles) or 2 rad/s times its distance from its farthest joint (limbs). Where
        joints do not let it move it is not pulled. ValueError, and nothing changes, where there is no such part, a
        number is not finite, or what is let go is not held.
        """
        self._hands.hold(part, position_m)


class Untouchable:
    """What hands can do to a body that cannot be touched: nothing, and why."""

    parts: Sequence[str] = ()
    why_not = "bodies of this kind cannot be touched"

    def push(
        self, part: str, force_n: Sequence[float], duration_ms: float, torque_nm: Sequence[float] = NO_TORQUE
    ) -> None:
        """Refuse."""
        raise ValueError(f"push: {self.why_not}")

    def hold(self, part: str, position_m: Sequence[float] | None) -> None:
        """Refuse."""
        raise ValueError(f"hold: {self.why_not}")

    def place(self, part: str, position_m: Sequence[float], quaternion: Sequence[float] | None = None) -> None:
        """Refuse."""
        raise ValueError(f"place: {self.why_not}")

    def set_joints(self, angle_rad: Mapping[str, float]) -> None:
        """Refuse."""
        raise ValueError(f"set_joints: {self.why_not}")


def grip(point: HeldPoint, target_m: np.ndarray, rate_per_s: float) -> np.ndarray:
    """The force (3,) in N with which a hand pulls ``point`` to ``target_m``.

    It gives the point the acceleration of a critically damped spring, with which a point at rest far away approaches
    at its top speed, as far as it can move at all. The mobility is inverted with damping (Nakamura and Hanafusa
    1986, J. Dyn. Syst. Meas. Control 108, 163-171).
    """
    gap_m = target_m - point.position_m
    distance_m = float(np.linalg.norm(gap_m)) or 1.0
    toward_m_s = gap_m / distance_m * min(0.5 * rate_per_s * distance_m, point.top_speed_m_s)
    gain_m_s2 = 2.0 * rate_per_s * (toward_m_s - point.speed_m_s)
    mobility, axes = np.linalg.eigh(point.mobility_per_kg)
    if not mobility[-1] > 0.0:
        return np.zeros(3)
    return axes @ (mobility / (mobility**2 + (STIFF * mobility[-1]) ** 2) * (axes.T @ gain_m_s2))


def number(name: str, value: Any) -> float:
    """``value`` as a number; ValueError where it is none, or not finite."""
    return float(_finite(name, value, (), "a finite number"))


def vector(name: str, value: Any) -> np.ndarray:
    """``value`` as an array (3,) of its own; ValueError where it is no such thing."""
    return _finite(name, value, (3,), "three finite numbers")


def position(value: Any) -> np.ndarray:
    """``value`` as a position (3,) in m; ValueError where it is none."""
    place_m = vector("position_m", value)
    if np.abs(place_m).max() > FAR_M:
        raise ValueError(f"position_m = {shown(value)}: allowed is up to {FAR_M:g} m from 0")
    return place_m


def quaternion(value: Any) -> np.ndarray:
    """``value`` as a rotation x, y, z, w (4,); ValueError where it is none."""
    turn = _finite("quaternion", value, (4,), "four finite numbers x, y, z, w")
    length = float(np.linalg.norm(turn))
    if abs(length - 1.0) > 0.01:
        raise ValueError(f"quaternion = {shown(value)}: has length {length:g}, allowed is length 1")
    return turn / length


def _finite(name: str, value: Any, shape: tuple[int, ...], allowed: str) -> np.ndarray:
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError, OverflowError):  # OverflowError: integers of hundreds of digits
        array = np.array(np.nan)
    if isinstance(value, str) or array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{name} = {shown(value)}: must be {allowed}")
    return array
