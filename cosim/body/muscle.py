# SPDX-License-Identifier: GPL-2.0-or-later
"""Millard et al. (2013) muscles with activation dynamics, as in OpenSim, for all muscles of a body at once.

Millard, Uchida, Seth, Delp (2013), "Flexing computational muscle", J. Biomech. Eng. 135, 021005.
Thelen (2003), "Adjustment of muscle mechanics model parameters", J. Biomech. Eng. 125, 70-77.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from cosim.body import curves
# Numba does not see when a function of another file changes: delete __pycache__ after a change of `evaluate`.
from cosim.body.curves import Curve, evaluate
from cosim.body.description import Muscle


class Parameters(NamedTuple):
    """The numbers of the muscles as in `Muscle`, each an array (n,)."""

    max_isometric_force_N: np.ndarray
    optimal_fiber_length_m: np.ndarray
    tendon_slack_length_m: np.ndarray
    pennation_rad: np.ndarray
    max_contraction_velocity_per_s: np.ndarray
    fiber_damping: np.ndarray
    activation_time_constant_s: np.ndarray
    deactivation_time_constant_s: np.ndarray
    minimum_activation: np.ndarray


class FiberCurves(NamedTuple):
    """The curves that a muscle with a rigid tendon needs."""

    active: Curve
    passive: Curve
    velocity: Curve


class RigidTendonMuscles:
    """Muscles whose tendons do not stretch: force follows from activation, path length and speed alone."""

    def __init__(self, muscles: tuple[Muscle, ...]):
        self.parameters = Parameters(*(
            np.array([getattr(muscle, name) for muscle in muscles], dtype=float)
            for name in Parameters._fields))
        self.curves = FiberCurves(
            curves.active_force_length(), curves.passive_force_length(), curves.force_velocity())

    def pull(self, activation, length_m, speed_m_s, force_N):
        """Write the tendon forces (n,) for path lengths and speeds (n,) into ``force_N``."""
        rigid_tendon_force(self.parameters, self.curves, activation, length_m, speed_m_s, force_N)

    def activate(self, activation, excitation, step_s):
        """Advance ``activation`` (n,) in place by ``step_s`` under the constant ``excitation`` (n,)."""
        activate(self.parameters, activation, excitation, step_s)

    def clip(self, command) -> np.ndarray:
        """``command`` (n,) brought into the range that an activation can have, minimum_activation to 1."""
        return np.clip(command, self.parameters.minimum_activation, 1.0)


@njit(cache=True)
def rigid_tendon_force(parameters, fiber_curves, activation, length, speed, force):
    """Write the tendon force (n,) of every muscle into ``force``.

    The fibre keeps its height L0 sin(pennation), so its length and speed follow from the path, and
    F = F0 (a f_L f_V + f_PE + damping v / v_max) cos(alpha), never below zero (Millard et al. 2013, damped).
    """
    p = parameters
    for m in range(force.size):
        optimal = p.optimal_fiber_length_m[m]
        along = length[m] - p.tendon_slack_length_m[m]
        if along <= 0.0:
            force[m] = 0.0  # the path is shorter than the tendon: it hangs loose
            continue
        fiber = np.hypot(along, optimal * np.sin(p.pennation_rad[m]))
        cosine = along / fiber
        velocity = speed[m] * cosine / (optimal * p.max_contraction_velocity_per_s[m])
        active = evaluate(fiber_curves.active, fiber / optimal)[0]
        active *= activation[m] * evaluate(fiber_curves.velocity, velocity)[0]
        passive = evaluate(fiber_curves.passive, fiber / optimal)[0] + p.fiber_damping[m] * velocity
        force[m] = p.max_isometric_force_N[m] * max(0.0, active + passive) * cosine


@njit(cache=True)
def activate(parameters, activation, excitation, step):
    """Advance ``activation`` (n,) in place by ``step`` s with the classical Runge-Kutta method.

    It does not fall below the minimum. With steps of 1 ms against time constants from 5 ms the error stays
    below 2e-4.
    """
    p = parameters
    for m in range(activation.size):
        a, u, low = activation[m], excitation[m], p.minimum_activation[m]
        rise, fall = p.activation_time_constant_s[m], p.deactivation_time_constant_s[m]
        k1 = activation_rate(a, u, rise, fall, low)
        k2 = activation_rate(a + 0.5 * step * k1, u, rise, fall, low)
        k3 = activation_rate(a + 0.5 * step * k2, u, rise, fall, low)
        k4 = activation_rate(a + step * k3, u, rise, fall, low)
        activation[m] = max(low, a + step * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0)


@njit(cache=True)
def activation_rate(activation, excitation, rise_time, fall_time, minimum):
    """da/dt in 1/s, as in OpenSim's MuscleFirstOrderActivationDynamicModel (after Thelen 2003)."""
    pace = 0.5 + 1.5 * min(1.0, max(minimum, activation))
    if excitation > activation:
        return (excitation - activation) / (rise_time * pace)
    return (excitation - activation) * pace / fall_time
