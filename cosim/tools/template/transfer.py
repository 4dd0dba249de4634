"""What connects brain and body: plain functions, called in this order at the end of every coupling step.

Their parameters are ports, found by name: sources and sinks of experiment.toml, what the body has (here wheels, pose,
light, light_sensors, contact), protocol, and t_ms, the time.
"""

import math

import numpy as np

from cosim import Table, transfer_function

# Poisson spikes that each neuron gets from an eye in the brightest light, and how bright it is for half of them.
MAX_RATE_HZ = 4000.0
HALF_INTENSITY = 0.05
# How fast the wheels turn for each mV of a sink: change this one first, and see what the robot does.
RAD_S_PER_MV = 0.6
# How far the lamp is from the middle of the room.
DISTANCE_M = 3.0


class Protocol(Table):
    """What [protocol] in experiment.toml may say."""

    round_s: float


@transfer_function
def move_lamp(t_ms, light, protocol):
    """The lamp goes around the middle of the room."""
    angle = 2 * math.pi * t_ms / 1000 / protocol.round_s
    light.position_m = DISTANCE_M * math.cos(angle), DISTANCE_M * math.sin(angle), 0.8


@transfer_function
def see(light_sensors, left_eye, right_eye):
    """The brighter it is for an eye, the more spikes come from it; it saturates, as eyes do."""
    left_eye.rate_hz = MAX_RATE_HZ * light_sensors.left / (light_sensors.left + HALF_INTENSITY)
    right_eye.rate_hz = MAX_RATE_HZ * light_sensors.right / (light_sensors.right + HALF_INTENSITY)


@transfer_function
def drive(left, right, wheels):
    """The spikes of each population drive the wheels of its side."""
    wheels.left_rad_s = RAD_S_PER_MV * left.voltage_mv
    wheels.right_rad_s = RAD_S_PER_MV * right.voltage_mv


def summarize(run):
    """Numbers for summary.json, made when a run has ended."""
    way = run.body["light_position_m"] - run.body["position_m"]
    return {"mean_distance_m": float(np.mean(np.hypot(way[:, 0], way[:, 1])))}


def tell(summary):
    """Lines to print at the end."""
    yield f"the robot was {summary['mean_distance_m']:.2f} m from the lamp on average"
