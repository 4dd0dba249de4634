# SPDX-License-Identifier: GPL-2.0-or-later
"""Muscle spindles excite motor neurons; motor neurons excite muscles.

What the neurons are told is a posture and not a movement: spindles fire the more, the longer their muscle is
than it would be in that posture. That each muscle then pulls by itself until forces balance is Feldman's
equilibrium-point hypothesis (1986, J. Motor Behavior 18, 17-54). The arm's weight keeps it below what is
commanded.
"""

import numpy as np
from pydantic import Field

from cosim import Table, transfer_function

# Moment arms of the muscles of each pool at shoulder and elbow, in m: about those of models/arm. A muscle
# gets so much longer for each rad that the joint is short of a posture: flexors when it is too straight,
# extensors when it is too bent.
LONG_TRICEPS_M = np.array([-0.03, -0.02])
BICEPS_M = np.array([0.02, 0.035])
TRICEPS_M = np.array([0.0, -0.02])
BRACHIALIS_M = np.array([0.0, 0.018])

# Poisson spikes that a motor neuron gets without any stretch, enough to fire slowly. Then what each m of
# stretch adds, and each m/s at which the muscle gets longer; that damps the movement.
REST_HZ = 1700.0
HZ_PER_M = 80000.0
HZ_PER_M_S = 7000.0
MAX_HZ = 5000.0

# The voltage of a pool's sink at which its muscles are fully excited.
FULL_VOLTAGE_MV = 10.0

# How long the hand is watched at the end, to see whether it holds still.
HOLD_MS = 500.0


class Protocol(Table):
    """What ``[protocol]`` in experiment.toml may say."""

    first_deg: tuple[float, float]
    """Shoulder and elbow of the first posture."""

    then_deg: tuple[float, float]
    """Shoulder and elbow of the second posture."""

    then_ms: float = Field(ge=0)
    """When the second posture is commanded."""


@transfer_function
def feel(t_ms, joints, protocol, long_triceps_spindles, biceps_spindles, triceps_spindles, brachialis_spindles):
    """Spindles compare the arm with the posture that is commanded."""
    posture_deg = protocol.then_deg if t_ms >= protocol.then_ms else protocol.first_deg
    short_rad = np.radians(posture_deg) - joints.angle_rad
    long_triceps_spindles.rate_hz = spindle_rate_hz(LONG_TRICEPS_M, short_rad, joints)
    biceps_spindles.rate_hz = spindle_rate_hz(BICEPS_M, short_rad, joints)
    triceps_spindles.rate_hz = spindle_rate_hz(TRICEPS_M, short_rad, joints)
    brachialis_spindles.rate_hz = spindle_rate_hz(BRACHIALIS_M, short_rad, joints)


@transfer_function
def pull(muscles, long_triceps, biceps, triceps, brachialis):
    """Each pool excites its muscles, at most fully."""
    muscles.excitation[muscles.index("TRIlong")] = excitation(long_triceps)
    muscles.excitation[muscles.indices("BIClong", "BICshort")] = excitation(biceps)
    muscles.excitation[muscles.indices("TRIlat", "TRImed")] = excitation(triceps)
    muscles.excitation[muscles.index("BRA")] = excitation(brachialis)


def spindle_rate_hz(moment_arm_m, short_rad, joints):
    """The rate of spindles follows the stretch of their muscle and its speed."""
    stretch_m = moment_arm_m @ short_rad
    lengthening_m_s = -moment_arm_m @ joints.speed_rad_s
    return np.clip(REST_HZ + HZ_PER_M * stretch_m + HZ_PER_M_S * lengthening_m_s, 0.0, MAX_HZ)


def excitation(pool):
    """What the sink of a pool makes of its spikes."""
    return min(1.0, pool.voltage_mv / FULL_VOLTAGE_MV)


def summarize(run):
    """Where the hand was when the posture changed and at the end, and how far it strayed at the end."""
    time_ms, then_ms = run.body["time_ms"], run.config["protocol"]["then_ms"]
    if not len(time_ms) or time_ms[-1] < then_ms + HOLD_MS:
        return {}
    before_m, end_m = run.tip_position_m(then_ms), run.tip_position_m(time_ms[-1])
    held_m = run.body["tip_position_m"][time_ms > time_ms[-1] - HOLD_MS]
    return {
        "hand_before_m": before_m.tolist(),
        "hand_at_end_m": end_m.tolist(),
        "hand_moved_m": float(np.linalg.norm(end_m - before_m)),
        "hand_strayed_m": float(np.linalg.norm(held_m - held_m.mean(axis=0), axis=1).max()),
    }


def tell(summary):
    """Lines to print at the end of a run."""
    if "hand_at_end_m" in summary:
        forward_m, _, up_m = np.subtract(summary["hand_at_end_m"], summary["hand_before_m"])
        yield f"told another posture, the hand moved {forward_m:+.2f} m forward and {up_m:+.2f} m up"
        strayed_cm = 100 * summary["hand_strayed_m"]
        yield f"it held still there within {strayed_cm:.1f} cm for the last {HOLD_MS:g} ms"
