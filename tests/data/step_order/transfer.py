# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands by the number of steps done, and what was seen when they were given."""

from cosim import Table, transfer_function

# So many that a spike comes in every 0.1 ms: none would be missing once in e^100 times.
EVERY_RESOLUTION_STEP_HZ = 1e6


class Protocol(Table):
    """Steps in which a command holds, 0 being the first."""

    early_steps: tuple[int, ...]
    late_steps: tuple[int, ...]
    pull_steps: tuple[int, ...]


@transfer_function
def switch(step, early_switch, late_switch, protocol):
    """Spikes in these steps, none in the others."""
    early_switch.rate_hz = EVERY_RESOLUTION_STEP_HZ * (step in protocol.early_steps)
    late_switch.rate_hz = EVERY_RESOLUTION_STEP_HZ * (step in protocol.late_steps)


@transfer_function
def pull(step, muscles, protocol):
    """One muscle is excited in these steps."""
    muscles.excitation[muscles.index("BRA")] = float(step in protocol.pull_steps)


@transfer_function
def report(step, t_ms, chatter, joints, told_step, told_ms, heard, felt):
    """Say back what was seen, as rates."""
    told_step.rate_hz = step
    told_ms.rate_hz = t_ms
    heard.rate_hz = chatter.voltage_mv
    felt.rate_hz = abs(joints.angle_rad[joints.index("elbow")])
