# SPDX-License-Identifier: GPL-2.0-or-later
"""A balanced network and Husky side by side; with ``drive_wheels`` two groups of its neurons drive the wheels."""

from pydantic import Field

from cosim import Table, transfer_function

# A slow circle of 1.3 m radius to the left, which fits into the room from where Husky starts.
CIRCLE_LEFT_RAD_S, CIRCLE_RIGHT_RAD_S = 0.5, 2.5


class Protocol(Table):
    """What ``[protocol]`` in experiment.toml may say."""

    drive_wheels: bool = Field(False, description="false: Husky drives in a circle whatever the brain does")
    rad_s_per_mv: float = Field(0.5, gt=0, description="how fast wheels turn for each mV of the sink of their side")


@transfer_function
def drive(protocol, E_left, E_right, wheels):
    """Wheels follow the sinks of their side, or hold the speeds of the circle."""
    if protocol.drive_wheels:
        wheels.left_rad_s = protocol.rad_s_per_mv * E_left.voltage_mv
        wheels.right_rad_s = protocol.rad_s_per_mv * E_right.voltage_mv
    else:
        wheels.left_rad_s, wheels.right_rad_s = CIRCLE_LEFT_RAD_S, CIRCLE_RIGHT_RAD_S
