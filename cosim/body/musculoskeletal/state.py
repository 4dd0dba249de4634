# SPDX-License-Identifier: GPL-2.0-or-later
"""The arrays of a body with muscles: what the body writes and its ports show. They need no physics engine."""

from collections.abc import Sequence

import numpy as np

from cosim.body.musculoskeletal.description import Muscle, MusculoskeletalDescription


class MuscleState:
    """Muscles at one time, arrays (n_muscles,) in SI units.

    ``length`` and ``speed`` are those of the whole path, ``force`` is that of the tendon. ``activation_state``
    is what activation dynamics move, ``activation`` the same but never below the minimum. ``before``
    (3, n_muscles) has activation, length and speed of one physics step ago.
    """

    def __init__(self, muscles: Sequence[Muscle]) -> None:
        self.excitation = np.zeros(len(muscles))
        self.activation = np.array([muscle.minimum_activation for muscle in muscles])
        self.activation_state = self.activation.copy()
        self.length, self.speed, self.force = np.zeros((3, len(muscles)))
        self.fiber_length, self.fiber_speed = np.zeros((2, len(muscles)))
        self.before = np.zeros((3, len(muscles)))


class JointState:
    """Joints, tip and touch at one time: arrays (n_joints,), (3,) and (n_solid_links,) in SI units.

    ``torque`` is that of muscles and efforts, ``torque_before`` the same one physics step ago.
    """

    def __init__(self, description: MusculoskeletalDescription) -> None:
        n_joints = len(description.revolute_joints)
        self.angle, self.speed, self.torque, self.torque_before = np.zeros((4, n_joints))
        self.tip_position = np.zeros(3)
        self.contact_force = np.zeros(len(description.solid_links))


class BodyState:
    """Everything that ports show."""

    def __init__(self, description: MusculoskeletalDescription) -> None:
        self.muscle = MuscleState(description.muscles)
        self.joint = JointState(description)
