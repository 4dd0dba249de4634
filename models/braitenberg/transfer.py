# SPDX-License-Identifier: GPL-2.0-or-later
"""Light sensors excite the eyes; motor neurons drive the wheels."""

import numpy as np

from cosim import Table, transfer_function

# Poisson spikes that each neuron of an eye gets in the brightest light, and the intensity at which it gets half.
MAX_RATE_HZ = 4000.0
HALF_INTENSITY = 0.05
# How fast wheels turn for each mV of the sink of their motor neurons.
RAD_S_PER_MV = 0.6
# The middle of the vehicle cannot come much nearer, as the light stands on a post.
ARRIVED_M = 1.0


class Protocol(Table):
    """What ``[protocol]`` in experiment.toml may say."""

    light_m: tuple[float, float, float]
    """x, y and z of the light."""


@transfer_function
def place_light(light, protocol):
    """The light is where the protocol wants it, not where the room has it."""
    light.position_m = protocol.light_m


@transfer_function
def see(light_sensors, left_light, right_light):
    """The light sensor of each side sets the input of the eye on that side."""
    left_light.rate_hz = eye_rate_hz(light_sensors.left)
    right_light.rate_hz = eye_rate_hz(light_sensors.right)


@transfer_function
def drive(left_motor, right_motor, wheels):
    """The motor neurons of each side drive the wheels on that side."""
    wheels.left_rad_s = RAD_S_PER_MV * left_motor.voltage_mv
    wheels.right_rad_s = RAD_S_PER_MV * right_motor.voltage_mv


def eye_rate_hz(intensity):
    """Saturates with the intensity, as responses of photoreceptors do (Naka and Rushton 1966)."""
    return MAX_RATE_HZ * intensity / (intensity + HALF_INTENSITY)


def summarize(run):
    """How far the light was at the start and at the end, and when the vehicle arrived; None if it did not."""
    distance_m = np.linalg.norm((run.body["light_position_m"] - run.body["position_m"])[:, :2], axis=1)
    if not len(distance_m):
        return {}
    arrived_s = run.body["time_ms"][distance_m < ARRIVED_M] / 1000
    return {
        "distance_at_start_m": float(distance_m[0]),
        "distance_at_end_m": float(distance_m[-1]),
        "arrived_after_s": float(arrived_s[0]) if len(arrived_s) else None,
    }


def tell(summary):
    """Lines to print at the end of a run."""
    yield "the light was {distance_at_start_m:.1f} m away at the start and {distance_at_end_m:.1f} m at the end".format(
        **summary
    )
    if summary["arrived_after_s"] is not None:
        yield f"Husky came within {ARRIVED_M:g} m of it after {summary['arrived_after_s']:.1f} s"
