# SPDX-License-Identifier: GPL-2.0-or-later
"""What transfer functions see of a body: muscles to command, and sensors to read.

Ports are plain objects around arrays that are made once and written in place, so a port taken at the start
stays valid for the whole run. They need no physics engine.
"""

from collections.abc import Iterable
from typing import Generic, TypedDict, TypeVar

import numpy as np

from cosim.body.musculoskeletal.description import MusculoskeletalDescription
from cosim.body.musculoskeletal.state import BodyState, JointState, MuscleState

State = TypeVar("State", MuscleState, JointState)


def _sensor(field: str, doc: str) -> property:
    """A read-only view of an array of the state: neither it nor its entries can be written."""

    def read(port) -> np.ndarray:
        view = getattr(port._state, field).view()
        view.flags.writeable = False
        return view

    return property(read, doc=doc)


class _Named(Generic[State]):
    """Arrays with one entry per name. Slots, so that a mistyped attribute is an error."""

    __slots__ = ("_kind", "_state", "names")

    def __init__(self, kind: str, names: Iterable[str], state: State) -> None:
        self.names = tuple(names)
        self._kind = kind
        self._state: State = state

    def index(self, name: str) -> int:
        """Place of ``name`` in the arrays; ValueError with all names where there is no such name."""
        if name not in self.names:
            raise ValueError(f"no {self._kind} is called {name!r}, there are {', '.join(self.names) or 'none'}")
        return self.names.index(name)

    def indices(self, *names: str) -> np.ndarray:
        """Places of ``names`` (n,), as in ``muscles.excitation[muscles.indices("Foot1", "Foot2")] = 0.5``."""
        return np.array([self.index(name) for name in names], dtype=int)


class MusclesPort(_Named[MuscleState]):
    """Muscle commands and muscle sensors, each (n_muscles,) in the order of ``names``.

    Muscle spindles sense the length and the speed of the fibre, tendon organs the force.
    """

    __slots__ = ()

    activation = _sensor("activation", "Activation, from the muscle's minimum to 1.")
    length_m = _sensor("length", "Length of the path, tendon and fibre together.")
    speed_m_s = _sensor("speed", "Speed of the path, lengthening positive.")
    force_N = _sensor("force", "Force of the tendon, tension positive.")
    fiber_length_m = _sensor("fiber_length", "Length of the fibre alone.")
    fiber_speed_m_s = _sensor("fiber_speed", "Speed of the fibre alone, lengthening positive.")

    @property
    def excitation(self) -> np.ndarray:
        """The command, from 0 to 1 (clipped where outside), held over the next coupling step.

        Write into it, or assign an array of its shape or one number for all; ValueError at any other shape.
        """
        return self._state.excitation

    @excitation.setter
    def excitation(self, command):
        if np.shape(command) not in ((), self.excitation.shape):
            raise ValueError(
                f"muscles.excitation = {command!r} has shape {np.shape(command)}, allowed are one number "
                f"or shape {self.excitation.shape}: {', '.join(self.names)}"
            )
        self.excitation[:] = command


class JointsPort(_Named[JointState]):
    """Joint sensors, each (n_joints,) in the order of ``names``."""

    __slots__ = ()

    angle_rad = _sensor("angle", "Angle against the rest pose.")
    speed_rad_s = _sensor("speed", "Rate of change of the angle.")


class TipPort:
    """The point that the experiment watches."""

    __slots__ = ("_state",)

    position_m = _sensor("tip_position", "Position (3,) in the model frame.")

    def __init__(self, state: JointState) -> None:
        self._state = state


class ContactsPort(_Named[JointState]):
    """Touch of the links with solid shapes, each (n_solid_links,) in the order of ``names``."""

    __slots__ = ()

    force_N = _sensor("contact_force", "Sum of the normal forces on the link, 0 where it touches nothing.")

    @property
    def touching(self) -> np.ndarray:
        """Whether the link touches another solid link."""
        return self.force_N > 0.0


class Ports(TypedDict):
    """All ports of a body, by the names that transfer functions call them."""

    muscles: MusclesPort
    joints: JointsPort
    tip: TipPort
    contacts: ContactsPort


def make_ports(description: MusculoskeletalDescription, state: BodyState) -> Ports:
    """All ports of the body ``description``, by name, which show ``state``."""
    return {
        "muscles": MusclesPort("muscle", [muscle.name for muscle in description.muscles], state.muscle),
        "joints": JointsPort("joint", [joint.name for joint in description.revolute_joints], state.joint),
        "tip": TipPort(state.joint),
        "contacts": ContactsPort("solid link", [link.name for link in description.solid_links], state.joint),
    }
