# SPDX-License-Identifier: GPL-2.0-or-later
"""Millard et al. (2013) muscles with activation dynamics, as in OpenSim, for all muscles of a body at once.

`cosim.body.musculoskeletal.fiber` has the equations of one muscle. Thelen (2003), "Adjustment of muscle mechanics model
parameters", J. Biomech. Eng. 125, 70-77.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from cosim.body.musculoskeletal import curves
from cosim.body.musculoskeletal.description import Muscle
from cosim.body.musculoskeletal.fiber import GAMMA, LEAST_COSINE, Curves, Fiber, cosine, rigid, stretch
from cosim.body.musculoskeletal.state import MuscleState

# An implicit step of so many seconds ends where a fibre rests.
FOR_EVER_S = 1e9
# Below it the state of an activation does not run. OpenSim has no such end: after a minute without excitation a
# muscle of its would sleep for 40 ms more. This one is reached after a second, as 0.13 per second is lost.
LOWEST_STATE = -0.1


class Parameters(NamedTuple):
    """What the compiled functions need of the muscles, each an array (n,) in SI units."""

    max_isometric_force_N: np.ndarray
    optimal_fiber_length_m: np.ndarray
    tendon_slack_length_m: np.ndarray
    fiber_damping: np.ndarray
    activation_time_constant_s: np.ndarray
    deactivation_time_constant_s: np.ndarray
    minimum_activation: np.ndarray
    height_m: np.ndarray
    max_speed_m_s: np.ndarray
    shortest_m: np.ndarray


class MuscleModel:
    """What muscles with rigid and with elastic tendons have in common: parameters and activation."""

    def __init__(self, muscles: Sequence[Muscle]) -> None:
        self.parameters = _parameters(muscles)
        self.curves = Curves(
            curves.active_force_length(),
            curves.passive_force_length(),
            curves.force_velocity(),
            curves.tendon_force_length(),
        )

    def activate(self, state: MuscleState, excitation: np.ndarray, step_s: float) -> None:
        """Advance the activations of ``state`` by ``step_s`` under the constant ``excitation`` (n,)."""
        activate(self.parameters, state.activation_state, excitation, step_s)
        np.maximum(state.activation_state, self.parameters.minimum_activation, out=state.activation)

    def put(self, state: MuscleState, activation: np.ndarray) -> None:
        """Set the activations of ``state``, clipped to what a muscle can have, minimum_activation to 1."""
        state.activation_state[:] = np.clip(activation, self.parameters.minimum_activation, 1.0)
        state.activation[:] = state.activation_state


class RigidTendonMuscles(MuscleModel):
    """Muscles whose tendons keep their slack length: fibre and force follow from activation and path alone."""

    def settle(self, state: MuscleState) -> None:
        """Fibres and forces (n,) at the activations, path lengths and speeds of ``state``."""
        follow(
            self.parameters,
            self.curves,
            state.activation,
            state.length,
            state.speed,
            state.fiber_length,
            state.fiber_speed,
            state.force,
        )

    def advance(self, state: MuscleState, _step_s: float) -> None:
        """As `settle`: there is no history."""
        self.settle(state)


class ElasticTendonMuscles(MuscleModel):
    """Muscles whose tendons stretch, damped as in Millard et al. (2013); the fibre length is a state."""

    def settle(self, state: MuscleState) -> None:
        """Put the fibres of ``state`` at rest at its activations and path lengths (static equilibrium)."""
        state.fiber_length[:], state.fiber_speed[:] = self.parameters.optimal_fiber_length_m, 0.0
        still = np.zeros_like(state.speed)
        advance(
            self.parameters,
            self.curves,
            np.stack([state.activation, state.length, still]),
            state.activation,
            state.length,
            still,
            state.fiber_length,
            state.fiber_speed,
            state.force,
            FOR_EVER_S,
        )
        state.fiber_speed[:] = 0.0
        self._remember(state)

    def advance(self, state: MuscleState, step_s: float) -> None:
        """Follow the path and the activation to where they are in ``state``, ``step_s`` after the last call.

        A step of 0 s takes over a jump of the activation.
        """
        advance(
            self.parameters,
            self.curves,
            state.before,
            state.activation,
            state.length,
            state.speed,
            state.fiber_length,
            state.fiber_speed,
            state.force,
            step_s,
        )
        self._remember(state)

    @staticmethod
    def _remember(state: MuscleState) -> None:
        state.before[0], state.before[1], state.before[2] = state.activation, state.length, state.speed


TENDONS: dict[str, type[RigidTendonMuscles] | type[ElasticTendonMuscles]] = {
    "rigid": RigidTendonMuscles,
    "elastic": ElasticTendonMuscles,
}


def _parameters(muscles: Sequence[Muscle]) -> Parameters:
    columns = {
        name: np.array([getattr(muscle, name) for muscle in muscles], dtype=float)
        for name in Parameters._fields
        if name in Muscle.model_fields
    }
    optimal = columns["optimal_fiber_length_m"]
    height = optimal * np.sin([muscle.pennation_rad for muscle in muscles])
    # OpenSim lets a fibre shorten until it can pull no more or lies at its maximum pennation.
    shortest = np.maximum(curves.SHORTEST_ACTIVE * optimal, height / np.sqrt(1.0 - LEAST_COSINE**2))
    speed = optimal * np.array([muscle.max_contraction_velocity_per_s for muscle in muscles])
    return Parameters(**columns, height_m=height, max_speed_m_s=speed, shortest_m=shortest)


@njit(cache=True)
def _fiber(p, m):
    return Fiber(
        p.optimal_fiber_length_m[m],
        p.height_m[m],
        p.tendon_slack_length_m[m],
        p.max_speed_m_s[m],
        p.fiber_damping[m],
        p.shortest_m[m],
    )


@njit(cache=True)
def follow(p, fiber_curves, activation, length, speed, fiber_length, fiber_speed, force):
    """Write fibre lengths, fibre speeds and tendon forces (n,) of muscles with rigid tendons."""
    for m in range(force.size):
        fiber_length[m], fiber_speed[m], pull = rigid(_fiber(p, m), fiber_curves, activation[m], length[m], speed[m])
        force[m] = p.max_isometric_force_N[m] * pull


@njit(cache=True)
def advance(p, fiber_curves, before, activation, length, speed, fiber_length, fiber_speed, force, step):
    """Advance the fibres (n,) by ``step`` s while activation, path length and speed went from ``before``.

    In between, activation is linear and the path a cubic that has its lengths and speeds at both ends.
    """
    for m in range(force.size):
        fiber = _fiber(p, m)
        levels = before[0, m] + GAMMA * (activation[m] - before[0, m]), activation[m]
        between = _cubic(before[1, m], before[2, m] * step, length[m], speed[m] * step, GAMMA)
        fiber_length[m], fiber_speed[m] = stretch(
            fiber, fiber_curves, levels, (between, length[m]), fiber_length[m], fiber_speed[m], step
        )
        force[m] = _tendon_force(p, m, fiber, fiber_curves, length[m], fiber_length[m])


@njit(cache=True)
def _tendon_force(p, m, fiber, fiber_curves, path, fiber_length):
    strained = (path - fiber_length * cosine(fiber, fiber_length)) / fiber.slack
    return p.max_isometric_force_N[m] * curves.evaluate(fiber_curves.tendon, strained)[0]


@njit(cache=True)
def _cubic(y0, rise0, y1, rise1, s):
    """The cubic with values y0, y1 and slopes rise0, rise1 at 0 and 1, at ``s``."""
    return y0 + s * (rise0 + s * (3.0 * (y1 - y0) - 2.0 * rise0 - rise1 + s * (2.0 * (y0 - y1) + rise0 + rise1)))


@njit(cache=True)
def activate(parameters, activation, excitation, step):
    """Advance ``activation`` (n,) in place by ``step`` s with the classical Runge-Kutta method.

    As in OpenSim the state runs below the minimum activation, where the muscle itself does not follow; other than
    there not without end. With steps of 1 ms against time constants from 5 ms the error stays below 2e-4.
    """
    p = parameters
    for m in range(activation.size):
        a, u, low = activation[m], excitation[m], p.minimum_activation[m]
        rise, fall = p.activation_time_constant_s[m], p.deactivation_time_constant_s[m]
        k1 = activation_rate(a, u, rise, fall, low)
        k2 = activation_rate(a + 0.5 * step * k1, u, rise, fall, low)
        k3 = activation_rate(a + 0.5 * step * k2, u, rise, fall, low)
        k4 = activation_rate(a + step * k3, u, rise, fall, low)
        activation[m] = max(LOWEST_STATE, a + step * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0)


@njit(cache=True)
def activation_rate(activation, excitation, rise_time, fall_time, minimum):
    """da/dt in 1/s, as in OpenSim's MuscleFirstOrderActivationDynamicModel (after Thelen 2003).

    It is that of the activation brought into its range, so that the state runs on below the minimum.
    """
    a = min(1.0, max(minimum, activation))
    pace = 0.5 + 1.5 * a
    if excitation > a:
        return (excitation - a) / (rise_time * pace)
    return (excitation - a) * pace / fall_time
