# SPDX-License-Identifier: GPL-2.0-or-later
"""The four characteristic curves of the Millard et al. (2013) muscle, as OpenSim builds them.

Each curve is a chain of quintic Bezier corners (Millard et al. 2013, J. Biomech. Eng. 135, 021005, appendix;
shape values from OpenSim's ActiveForceLengthCurve, FiberForceLengthCurve, ForceVelocityCurve and
TendonForceLengthCurve) and goes on in a straight line on both sides. At run time a curve is a table of values
and slopes on an even grid, read by cubic Hermite interpolation.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

# With 2000 intervals the interpolation stays below 1e-8 of the Bezier curves; they are checked in the tests.
TABLE_INTERVALS = 2000
# The length below which a fibre is not active, in optimal lengths: OpenSim's min_norm_active_fiber_length.
SHORTEST_ACTIVE = 0.4441


class Curve(NamedTuple):
    """A tabulated curve: ``value`` and ``slope`` (n,) at ``start + i * spacing``, slope per unit of x."""

    start: float
    spacing: float
    value: np.ndarray
    slope: np.ndarray

    def __call__(self, x) -> tuple[np.ndarray, np.ndarray]:
        """Values and slopes at ``x``, each of the shape of ``x``."""
        flat = np.ravel(np.asarray(x, dtype=float))
        pairs = np.array([evaluate(self, single) for single in flat]).reshape(-1, 2)
        return pairs[:, 0].reshape(np.shape(x)), pairs[:, 1].reshape(np.shape(x))


@njit(cache=True)
def evaluate(curve, x):
    """Value and slope of ``curve`` at the number ``x``; beyond its ends the curve is straight."""
    position = (x - curve.start) / curve.spacing
    last = curve.value.size - 1
    if position <= 0.0:
        return curve.value[0] + curve.slope[0] * (x - curve.start), curve.slope[0]
    if position >= last:
        return curve.value[last] + curve.slope[last] * (position - last) * curve.spacing, curve.slope[last]
    i = int(position)
    s = position - i
    y0, y1 = curve.value[i], curve.value[i + 1]
    m0, m1 = curve.slope[i] * curve.spacing, curve.slope[i + 1] * curve.spacing
    c2 = 3.0 * (y1 - y0) - 2.0 * m0 - m1
    c3 = 2.0 * (y0 - y1) + m0 + m1
    return y0 + s * (m0 + s * (c2 + s * c3)), (m0 + s * (2.0 * c2 + 3.0 * s * c3)) / curve.spacing


def active_force_length() -> Curve:
    """Active force over fibre length, both normalised (F0, L0).

    Its lowest value is 0, as in OpenSim's damped equilibrium muscle (a curve on its own has 0.1 there).
    """
    shortest, shallow, optimum, longest = SHORTEST_ACTIVE, 0.73, 1.0, 1.8123
    shallow_slope, plateau_half = 0.8616, 0.05
    rise_end = optimum - plateau_half
    shallow_value = 1.0 - shallow_slope * (rise_end - shallow)
    steep = (0.5 * (shortest + shallow), 0.5 * shallow_value, 1.25 * shallow_value / (shallow - shortest))
    middle = (0.5 * (shallow + rise_end), 0.5 * (shallow_value + 1.0), shallow_slope)
    fall_start = optimum + plateau_half
    fall = (0.5 * (fall_start + longest), 0.5, -1.0 / (longest - plateau_half - fall_start))
    return _tabulate(
        [(shortest, 0.0, 0.0), steep, middle, (optimum, 1.0, 0.0), fall, (longest, 0.0, 0.0)], [_curviness(1.0)] * 5
    )


def passive_force_length() -> Curve:
    """Passive fibre force (F0) over fibre length (L0): zero at L0, one at a strain of 0.7."""
    strain_at_one, curviness = 0.7, 0.75
    stiffness_low, stiffness_one = 0.2, 2.0 / strain_at_one
    toe = min(0.1 / stiffness_one, 0.1 * strain_at_one)
    low = (1.0 + toe, stiffness_low * 0.5 * toe, stiffness_low)
    one = (1.0 + strain_at_one, 1.0, stiffness_one)
    return _tabulate([(1.0, 0.0, 0.0), low, one], [_curviness(curviness)] * 2)


def force_velocity() -> Curve:
    """Force multiplier over fibre speed in units of the maximum contraction velocity, shortening negative."""
    eccentric_value, near = 1.4, 0.1
    slope_near_concentric, isometric_slope, slope_near_eccentric = 0.25, 5.0, 0.15
    concentric, eccentric = _curviness(0.6), _curviness(0.9)
    knots = [
        (-1.0, 0.0, 0.0),
        (near - 1.0, 0.5 * slope_near_concentric * near, slope_near_concentric),
        (0.0, 1.0, isometric_slope),
        (1.0 - near, eccentric_value - 0.5 * slope_near_eccentric * near, slope_near_eccentric),
        (1.0, eccentric_value, 0.0),
    ]
    return _tabulate(knots, [concentric, concentric, eccentric, eccentric])


def tendon_force_length() -> Curve:
    """Tendon force (F0) over tendon length (slack lengths): one at a strain of 0.049."""
    strain_at_one, toe_force, curviness = 0.049, 2.0 / 3.0, 0.5
    stiffness = 1.375 / strain_at_one
    one = 1.0 + strain_at_one
    toe = one + (toe_force - 1.0) / stiffness
    foot = 1.0 + (toe - 1.0) / 10.0
    toe_middle = one + (0.5 * toe_force - 1.0) / stiffness
    slope = 0.5 * toe_force / (toe_middle - foot)
    bend = (0.5 * (foot + toe_middle), 0.25 * toe_force, slope)
    return _tabulate([(1.0, 0.0, 0.0), bend, (toe, toe_force, stiffness)], [_curviness(curviness)] * 2)


def _curviness(value: float) -> float:
    """Place of the inner control points, kept off the ends, for a ``value`` of 0 (gentle) to 1 (sharp)."""
    return 0.1 + 0.8 * value


def _tabulate(knots, curviness) -> Curve:
    """Table of the chain of corners between ``knots`` of (x, value, slope)."""
    x = np.linspace(knots[0][0], knots[-1][0], TABLE_INTERVALS + 1)
    value, slope = np.empty_like(x), np.empty_like(x)
    for left, right, bend in zip(knots, knots[1:], curviness, strict=False):
        inside = (x >= left[0]) & (x <= right[0])
        value[inside], slope[inside] = _corner(left, right, bend, x[inside])
    # Free of rounding at both ends, since the straight lines beyond start there.
    (_, value[0], slope[0]), (_, value[-1], slope[-1]) = knots[0], knots[-1]
    return Curve(x[0], x[1] - x[0], value, slope)


def _corner(left, right, curviness, x):
    """Values and slopes at ``x`` of the quintic Bezier corner between two knots, each (x, value, slope).

    The inner control points lie in pairs on the two end tangents, ``curviness`` of the way to where these
    meet.
    """
    (x0, y0, slope0), (x1, y1, slope1) = left, right
    meet_x = (y1 - y0 - x1 * slope1 + x0 * slope0) / (slope0 - slope1)
    meet_y = y1 + (meet_x - x1) * slope1
    px = _bezier(x0, x0 + curviness * (meet_x - x0), x1 + curviness * (meet_x - x1), x1)
    py = _bezier(y0, y0 + curviness * (meet_y - y0), y1 + curviness * (meet_y - y1), y1)
    u = _invert(px, x)
    return py(u), py.deriv()(u) / px.deriv()(u)


def _bezier(first, second, fifth, last) -> np.polynomial.Polynomial:
    """Quintic Bezier polynomial in u from 0 to 1 whose two inner pairs of control points coincide."""
    u = np.polynomial.Polynomial([0.0, 1.0])
    v = 1.0 - u
    return (
        first * v**5
        + second * (5 * u * v**4 + 10 * u**2 * v**3)
        + fifth * (10 * u**3 * v**2 + 5 * u**4 * v)
        + last * u**5
    )


def _invert(polynomial, x):
    """Solve ``polynomial(u) = x`` by bisection for u in [0, 1], where the polynomial rises."""
    low, high = np.zeros_like(x), np.ones_like(x)
    for _ in range(54):  # one halving per bit of a double
        middle = 0.5 * (low + high)
        below = polynomial(middle) < x
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)
