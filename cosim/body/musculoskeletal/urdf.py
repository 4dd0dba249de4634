# SPDX-License-Identifier: GPL-2.0-or-later
"""The mechanism of a body as URDF text, for engines that read it.

At rest all URDF frames are parallel to the model frame, and a link's frame sits where its joint is. Inertias
are written in principal axes, so that an engine need not find them. Of the shapes only the solid ones are
written.
"""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from cosim.body.musculoskeletal.description import WORLD, Joint, Link, MusculoskeletalDescription, RodShape, Shape
from cosim.body.rotation import matrix_from_rpy, rpy_from_matrix

# URDF demands these two; neither binds, as torques are set by us and speeds are checked by the body.
UNBOUND = {"effort": "1e9", "velocity": "1e9"}


def to_urdf(description: MusculoskeletalDescription) -> str:
    """URDF of the links, joints and solid shapes of ``description``; it has no closures and no muscles."""
    robot = Element("robot", name=description.name)
    SubElement(robot, "link", name=WORLD)
    for link in description.links:
        _add_link(robot, link, frame_position(description, link.name))
    for joint in description.joints:
        _add_joint(robot, description, joint)
    indent(robot)
    return tostring(robot, encoding="unicode")


def frame_position(description: MusculoskeletalDescription, link: str) -> np.ndarray:
    """Where the URDF frame of ``link`` is in the model frame at rest (3,), in m."""
    if link == WORLD:
        return np.zeros(3)
    joint = description.joint_above(link)
    return description.link(link).in_model(joint.origin_m if joint.type == "revolute" else (0.0, 0.0, 0.0))


def _add_link(robot: Element, link: Link, frame: np.ndarray):
    moments, axes = np.linalg.eigh(link.inertia_kg_m2.matrix())
    axes[:, 2] *= np.sign(np.linalg.det(axes))  # right-handed
    turn = link.rotation() @ matrix_from_rpy(link.com_rpy_rad) @ axes
    element = SubElement(robot, "link", name=link.name)
    inertial = SubElement(element, "inertial")
    SubElement(inertial, "origin", xyz=_text(link.in_model(link.com_m) - frame), rpy=_text(rpy_from_matrix(turn)))
    SubElement(inertial, "mass", value=repr(link.mass_kg))
    ixx, iyy, izz = (repr(float(moment)) for moment in moments)
    SubElement(inertial, "inertia", ixx=ixx, iyy=iyy, izz=izz, ixy="0", ixz="0", iyz="0")
    for shape in link.shapes:
        if shape.solid:
            _add_solid(element, link, frame, shape)


def _add_solid(element: Element, link: Link, frame: np.ndarray, shape: Shape):
    collision = SubElement(element, "collision")
    geometry = SubElement(collision, "geometry")
    turn = link.rotation()
    if shape.kind == "box":
        centre = shape.centre_m
        SubElement(geometry, "box", size=_text(shape.size_m))
    elif shape.kind == "sphere":
        centre = shape.centre_m
        SubElement(geometry, "sphere", radius=repr(shape.radius_m))
    else:
        centre, turn = np.mean(shape.ends_m, axis=0), turn @ _along(shape)
        length = float(np.linalg.norm(np.subtract(*shape.ends_m)))
        SubElement(geometry, "capsule", radius=repr(shape.radius_m), length=repr(length))
    SubElement(collision, "origin", xyz=_text(link.in_model(centre) - frame), rpy=_text(rpy_from_matrix(turn)))


def _along(rod: RodShape) -> np.ndarray:
    """Rotation matrix (3, 3) that turns the z axis into the direction of ``rod``."""
    x, y, z = np.subtract(rod.ends_m[1], rod.ends_m[0])
    return matrix_from_rpy((0.0, np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)))


def _add_joint(robot: Element, description: MusculoskeletalDescription, joint: Joint):
    offset = frame_position(description, joint.child) - frame_position(description, joint.parent)
    element = SubElement(robot, "joint", name=joint.name, type=_kind(joint))
    SubElement(element, "parent", link=joint.parent)
    SubElement(element, "child", link=joint.child)
    SubElement(element, "origin", xyz=_text(offset), rpy="0 0 0")
    if joint.type == "fixed":
        return
    SubElement(element, "axis", xyz=_text(description.link(joint.child).rotation() @ joint.axis))
    if joint.limits_rad is not None:
        lower, upper = joint.limits_rad
        SubElement(element, "limit", UNBOUND, lower=repr(lower), upper=repr(upper))


def _kind(joint: Joint) -> str:
    return "continuous" if joint.type == "revolute" and joint.limits_rad is None else joint.type


def _text(vector) -> str:
    return " ".join(repr(float(component)) for component in vector)
