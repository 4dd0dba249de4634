# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer functions of the task of Feldotto et al. 2022, section 4.2.3.

The muscles start with a base activation; then the L1 ENGC population of motor cortex drives three of them, and halfway
its own input is switched on: the joystick is pushed forward.
"""

import numpy as np
from pydantic import Field

from cosim import Table, transfer_function

# In the order of the table of muscles: Foot1, Foot2, Radius1, Radius2, Humerus1 to Humerus4.
BASE_EXCITATION = np.array([0.5, 0.9, 0.2, 0.4, 0.6, 0.8, 0.2, 0.6])
FOOT1_EXCITATION = 0.2
# The voltage of the ENGC sink at which a muscle is fully excited.
FULL_VOLTAGE_MV = 2.0


class Protocol(Table):
    """What ``[protocol]`` in experiment.toml may say."""

    base_until_ms: float = Field(ge=0)
    stimulus_onset_ms: float = Field(ge=0)
    stimulus_rate_hz: float = Field(ge=0)


@transfer_function
def actuate(t_ms, M1_L1_ENGC, muscles, protocol):
    """The voltage of the ENGC sink excites three muscles, at most fully."""
    if t_ms < protocol.base_until_ms:
        muscles.excitation = BASE_EXCITATION
        return
    muscles.excitation[muscles.index("Foot1")] = FOOT1_EXCITATION
    driven = muscles.indices("Foot2", "Humerus1", "Humerus3")
    muscles.excitation[driven] = min(1.0, M1_L1_ENGC.voltage_mv / FULL_VOLTAGE_MV)


@transfer_function
def stimulate(t_ms, engc_source, protocol):
    """The input of the ENGC population is switched on halfway."""
    if t_ms >= protocol.stimulus_onset_ms:
        engc_source.rate_hz = protocol.stimulus_rate_hz


def summarize(run):
    """How far the tip of the joystick moved before and after the stimulus, forward (the animal faces -y)."""

    def forward_mm(from_ms, to_ms):
        if run.body["time_ms"].size == 0 or run.body["time_ms"][-1] < to_ms:
            return None
        return -1000 * float(run.tip_position_m(to_ms)[1] - run.tip_position_m(from_ms)[1])

    return {"tip_forward_before_mm": forward_mm(100, 500), "tip_forward_after_mm": forward_mm(500, 1000)}


def tell(summary):
    """Lines to print at the end of a run."""
    moved = [summary["tip_forward_before_mm"], summary["tip_forward_after_mm"]]
    if None not in moved:
        yield "joystick moved {:+.2f} mm from 0.1 s to 0.5 s, {:+.2f} mm from 0.5 s to 1 s (forward positive)".format(
            *moved
        )
