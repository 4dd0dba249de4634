# SPDX-License-Identifier: GPL-2.0-or-later
"""The equations of one Millard et al. (2013) muscle: a fibre in series with a tendon, compiled.

Millard, Uchida, Seth, Delp (2013), "Flexing computational muscle", J. Biomech. Eng. 135, 021005.

The fibre keeps its height h = L0 sin(pennation at L0), so that its length l and its part along the tendon
belong together, l cos(alpha) = sqrt(l^2 - h^2). Force along the tendon, in units of the maximum isometric force:

    fibre:   (a f_L(l / L0) f_V(v / v_max) + f_PE(l / L0) + damping v / v_max) cos(alpha)
    tendon:  f_T((path - l cos(alpha)) / slack length)
"""

from typing import NamedTuple

import numpy as np
from numba import njit

# Numba does not see when a function of another file changes: delete __pycache__ after a change of `evaluate`.
from cosim.body.musculoskeletal.curves import Curve, evaluate

# Newton's method stops where it moves by less than this, in maximum speeds and optimal lengths.
TOLERANCE = 1e-12
# Bisection alone narrows any bracket down to rounding in so many rounds; Newton takes 3 to 5.
MAX_ROUNDS = 200
# No fibre is faster, in maximum speeds: there the damping is ten times the maximum isometric force.
FASTEST = 100.0
# The two stages of the implicit step, an L-stable singly diagonally implicit Runge-Kutta method of second
# order (Alexander 1977, SIAM J. Numer. Anal. 14, 1006).
GAMMA = 1.0 - np.sqrt(0.5)
# Cosine of OpenSim's maximum pennation angle.
LEAST_COSINE = 0.1


class Fiber(NamedTuple):
    """The numbers of one muscle, in SI units but for ``damping``, which is in units of F0."""

    optimal: float
    height: float
    slack: float
    max_speed: float
    damping: float
    shortest: float


class Curves(NamedTuple):
    """The four characteristic curves, see `cosim.body.musculoskeletal.curves`."""

    active: Curve
    passive: Curve
    velocity: Curve
    tendon: Curve


@njit(cache=True)
def cosine(fiber, length):
    """Cosine of the pennation angle at the fibre length ``length``."""
    return np.sqrt(max(1.0 - (fiber.height / length) ** 2, LEAST_COSINE**2))


@njit(cache=True)
def rigid(fiber, curves, activation, path, path_speed):
    """Fibre length, fibre speed and force of a muscle whose tendon has its slack length.

    The force is never below zero, and zero where the path is so short that the tendon hangs loose.
    """
    along = max(0.0, path - fiber.slack)
    length = np.hypot(along, fiber.height)
    if length <= fiber.shortest:
        return fiber.shortest, 0.0, 0.0
    speed = path_speed * along / length
    force = balance(fiber, curves, activation, length, speed, path)[0]
    return length, speed, max(0.0, force)


@njit(cache=True)
def balance(fiber, curves, activation, length, speed, path):
    """Fibre force minus tendon force, and its derivatives by fibre length and fibre speed."""
    cos = cosine(fiber, length)
    active, active_slope = evaluate(curves.active, length / fiber.optimal)
    passive, passive_slope = evaluate(curves.passive, length / fiber.optimal)
    velocity, velocity_slope = evaluate(curves.velocity, speed / fiber.max_speed)
    tendon, tendon_slope = evaluate(curves.tendon, (path - length * cos) / fiber.slack)
    force = activation * active * velocity + passive + fiber.damping * speed / fiber.max_speed
    by_speed = (activation * active * velocity_slope + fiber.damping) / fiber.max_speed * cos
    by_length = (activation * active_slope * velocity + passive_slope) / fiber.optimal * cos
    by_length += force * (1.0 - cos * cos) / (length * cos) + tendon_slope / (fiber.slack * cos)
    return force * cos - tendon, by_length, by_speed


@njit(cache=True)
def solve(fiber, curves, activation, path, start, reach, guess):
    """Fibre speed v at which the forces balance at the fibre length ``start + reach * v``.

    Newton's method from ``guess``, kept within a bracket that is halved where Newton would leave it. A fibre
    does not shorten below its shortest length.
    """
    high = FASTEST * fiber.max_speed
    low = max((fiber.shortest - start) / reach, -high) if reach > 0.0 else -high
    if balance(fiber, curves, activation, start + reach * low, low, path)[0] >= 0.0:
        return low
    speed = min(max(guess, low), high)
    for _ in range(MAX_ROUNDS):
        force, by_length, by_speed = balance(fiber, curves, activation, start + reach * speed, speed, path)
        if force < 0.0:
            low = speed
        else:
            high = speed
        slope = reach * by_length + by_speed
        step = -force / slope if slope > 0.0 else high - low
        if not low <= speed + step <= high:
            step = 0.5 * (low + high) - speed
        speed += step
        if abs(step) <= TOLERANCE * fiber.max_speed and abs(reach * step) <= TOLERANCE * fiber.optimal:
            break
    return speed


@njit(cache=True)
def stretch(fiber, curves, activation, path, length, guess, step):
    """Fibre length and speed after ``step`` s in which the tendon stretches; both stages are implicit.

    ``activation`` and ``path`` are values at the first stage and at the end.
    """
    first = solve(fiber, curves, activation[0], path[0], length, GAMMA * step, guess)
    start = length + (1.0 - GAMMA) * step * first
    last = solve(fiber, curves, activation[1], path[1], start, GAMMA * step, first)
    return start + GAMMA * step * last, last
