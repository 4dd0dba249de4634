# SPDX-License-Identifier: GPL-2.0-or-later
"""A musculoskeletal body as one readable file (TOML, SI units).

It has links, joints, loop closures, muscles, constant efforts and a tip. `models/forelimb/body.toml` states the
conventions; `cosim.body.kinds.load` reads such a file.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from cosim.body.kind import Description
from cosim.body.parts import Fraction, NonNegative, Number, Part, Positive, Vector
from cosim.body.rotation import matrix_from_rpy

WORLD = "world"

# How far apart the two points of a loop closure may be at rest: far above the rounding of model files (1e-8 m
# for the forelimb), far below anything that would show in a simulation.
CLOSURE_TOLERANCE_M = 1e-6


def _unit(axis: tuple[float, float, float]) -> tuple[float, float, float]:
    length = np.linalg.norm(axis)
    if abs(length - 1.0) > 1e-6:
        raise ValueError(f"an axis has length 1, this one has {length:g}")
    return tuple(np.array(axis) / length)


def _slanted(direction: tuple[float, float, float]) -> tuple[float, float, float]:
    if not np.hypot(direction[0], direction[1]) > 0.0:
        raise ValueError("a view needs a horizontal part: its x and y must not both be 0")
    return direction


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise ValueError("the lower limit must be below the upper one")
    return limits


ORIGIN: Vector = (0.0, 0.0, 0.0)


class Point(Part):
    """A point on a link, in that link's frame."""

    link: str
    point_m: Vector


class Inertia(Part):
    """Moments and products of inertia about the centre of mass."""

    xx: Positive
    yy: Positive
    zz: Positive
    xy: Number = 0.0
    xz: Number = 0.0
    yz: Number = 0.0

    def matrix(self) -> np.ndarray:
        """The tensor (3, 3) in kg m^2."""
        return np.array(
            [
                [self.xx, self.xy, self.xz],
                [self.xy, self.yy, self.yz],
                [self.xz, self.yz, self.zz],
            ]
        )


class _Shape(Part):
    """Drawn in ``colour``, and felt by other links where it is solid."""

    colour: str
    solid: bool = False


class RodShape(_Shape):
    """A rod with round ends."""

    kind: Literal["rod"]
    ends_m: tuple[Vector, Vector]
    radius_m: Positive


class SphereShape(_Shape):
    """A ball."""

    kind: Literal["sphere"]
    centre_m: Vector
    radius_m: Positive


class BoxShape(_Shape):
    """A box whose edges follow the axes of the link."""

    kind: Literal["box"]
    centre_m: Vector
    size_m: tuple[Positive, Positive, Positive]


Shape = Annotated[RodShape | SphereShape | BoxShape, Field(discriminator="kind")]


class Link(Part):
    """A rigid part: its frame in the model frame at rest, its mass, and how it is drawn."""

    name: str
    position_m: Vector
    rpy_rad: Vector = ORIGIN
    mass_kg: Positive
    com_m: Vector = ORIGIN
    com_rpy_rad: Vector = ORIGIN
    inertia_kg_m2: Inertia
    shapes: tuple[Shape, ...] = ()

    def rotation(self) -> np.ndarray:
        """Rotation matrix (3, 3) from the link's frame to the model frame at rest."""
        return matrix_from_rpy(self.rpy_rad)

    def in_model(self, point_m: Vector) -> np.ndarray:
        """Model-frame position (3,) at rest, in m, of a point given in the link's frame."""
        return self.rotation() @ point_m + self.position_m


class FixedJoint(Part):
    """Holds its child where the child's pose says."""

    name: str
    type: Literal["fixed"]
    parent: str
    child: str


class RevoluteJoint(Part):
    """Turns its child about ``axis`` through ``origin_m``, both in the child's frame; free without limits."""

    name: str
    type: Literal["revolute"]
    parent: str
    child: str
    axis: Annotated[Vector, AfterValidator(_unit)]
    origin_m: Vector = ORIGIN
    limits_rad: Annotated[tuple[Number, Number], AfterValidator(_ordered)] | None = None
    damping_N_m_s_rad: NonNegative = 0.0


Joint = Annotated[FixedJoint | RevoluteJoint, Field(discriminator="type")]


class Closure(Part):
    """Two points that stay together: a ball joint that closes a loop of the joint tree."""

    name: str
    a: Point
    b: Point


class Muscle(Part):
    """A Millard et al. (2013) muscle along a path; the defaults are those of OpenSim 4."""

    name: str
    max_isometric_force_N: Positive
    optimal_fiber_length_m: Positive
    tendon_slack_length_m: Positive
    # OpenSim's maximum_pennation_angle: the arc cosine of 0.1.
    pennation_rad: Annotated[Number, Field(ge=0.0, le=1.4706)] = 0.0
    max_contraction_velocity_per_s: Positive = 10.0
    fiber_damping: NonNegative = 0.1
    activation_time_constant_s: Positive = 0.010
    deactivation_time_constant_s: Positive = 0.040
    minimum_activation: Annotated[Number, Field(gt=0.0, lt=1.0)] = 0.01
    path: Annotated[tuple[Point, ...], Field(min_length=2)]


class Effort(Part):
    """A constant torque at a joint."""

    joint: str
    torque_N_m: Number


class MusculoskeletalDescription(Description):
    """A whole body; ``problems`` checks how its parts refer to each other."""

    kind: Literal["musculoskeletal"] = "musculoskeletal"
    name: str
    gravity_m_s2: Vector
    tip: Point
    view_from: Annotated[Vector, AfterValidator(_slanted)] = (1.0, -0.5, 0.3)
    colours: dict[str, tuple[Fraction, Fraction, Fraction]] = {}
    links: Annotated[tuple[Link, ...], Field(min_length=1)]
    joints: Annotated[tuple[Joint, ...], Field(min_length=1)]
    closures: tuple[Closure, ...] = ()
    muscles: tuple[Muscle, ...] = ()
    efforts: tuple[Effort, ...] = ()

    @property
    def revolute_joints(self) -> tuple[RevoluteJoint, ...]:
        """The joints that move, in the order in which their angles are reported."""
        return tuple(joint for joint in self.joints if joint.type == "revolute")

    @property
    def solid_links(self) -> tuple[Link, ...]:
        """The links that can touch others, in the order in which contact forces are reported."""
        return tuple(link for link in self.links if any(shape.solid for shape in link.shapes))

    def link(self, name: str) -> Link:
        """The link of that name; KeyError where there is none."""
        return {link.name: link for link in self.links}[name]

    def joint_above(self, link: str) -> Joint:
        """The joint whose child is ``link``; KeyError where there is none."""
        return {joint.child: joint for joint in self.joints}[link]

    def problems(self) -> list[str]:
        """What is wrong with how the parts refer to each other; empty when nothing is."""
        found = [*_repeated_names(self), *_dangling_names(self), *_uneven_inertias(self)]
        # These follow names from part to part, so every name must lead somewhere first.
        return found or [*_unrooted_links(self), *_open_closures(self), *_empty_segments(self)]


def _repeated_names(description):
    for kind in ("links", "joints", "closures", "muscles"):
        names = Counter(part.name for part in getattr(description, kind))
        yield from (
            f"{kind}[{name}]: {n} {kind} have this name, names are unique" for name, n in names.items() if n > 1
        )
    for child, n in Counter(joint.child for joint in description.joints).items():
        if n > 1:
            yield (f"links[{child}]: child of {n} joints, a link is the child of exactly one (closures close loops)")


def _dangling_names(description):
    links = [link.name for link in description.links]
    joints = [joint.name for joint in description.revolute_joints]
    uses = [(f"joints[{j.name}].parent", j.parent, [WORLD, *links]) for j in description.joints]
    uses += [(f"joints[{j.name}].child", j.child, links) for j in description.joints]
    uses += [
        (f"closures[{c.name}].{side}.link", getattr(c, side).link, links) for c in description.closures for side in "ab"
    ]
    uses += [
        (f"muscles[{m.name}].path[{i}].link", point.link, links)
        for m in description.muscles
        for i, point in enumerate(m.path)
    ]
    uses += [(f"efforts[{i}].joint", effort.joint, joints) for i, effort in enumerate(description.efforts)]
    uses += [
        (f"links[{link.name}].shapes[{i}].colour", shape.colour, list(description.colours))
        for link in description.links
        for i, shape in enumerate(link.shapes)
    ]
    uses += [("tip.link", description.tip.link, links)]
    for where, name, allowed in uses:
        if name not in allowed:
            yield f"{where} = {name!r}: no such name, there are {', '.join(allowed)}"


def _uneven_inertias(description):
    for link in description.links:
        moments = np.linalg.eigvalsh(link.inertia_kg_m2.matrix())
        # A real body's largest principal moment is at most the sum of the others; model files are rounded.
        if moments[0] <= 0.0 or moments[2] > (1.0 + 1e-6) * (moments[0] + moments[1]):
            shown = ", ".join(f"{moment:g}" for moment in moments)
            yield (
                f"links[{link.name}].inertia_kg_m2: principal moments {shown}: they must be positive "
                "and none larger than the sum of the other two"
            )


def _unrooted_links(description):
    parents = {joint.child: joint.parent for joint in description.joints}
    for link in description.links:
        seen, name = set(), link.name
        while name in parents and name not in seen:
            seen.add(name)
            name = parents[name]
        if name != WORLD:
            yield f"links[{link.name}]: its chain of parents ends at {name}, it must lead to {WORLD!r}"


def _open_closures(description):
    for closure in description.closures:
        a, b = (description.link(point.link).in_model(point.point_m) for point in (closure.a, closure.b))
        gap = np.linalg.norm(a - b)
        if gap > CLOSURE_TOLERANCE_M:
            yield (
                f"closures[{closure.name}]: its points are {gap:.3g} m apart at rest, "
                f"at most {CLOSURE_TOLERANCE_M:g} m is allowed"
            )


def _empty_segments(description):
    for muscle in description.muscles:
        at = [description.link(point.link).in_model(point.point_m) for point in muscle.path]
        for i, (a, b) in enumerate(zip(at, at[1:], strict=False)):
            if np.linalg.norm(b - a) == 0.0:
                yield (
                    f"muscles[{muscle.name}].path[{i + 1}].point_m = {list(muscle.path[i + 1].point_m)}: "
                    "lies on the point before it, a muscle needs a direction between two points"
                )
