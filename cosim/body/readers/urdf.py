# SPDX-License-Identifier: GPL-2.0-or-later
"""The mechanism in a URDF file: links, joints and simple shapes, as a body file has them.

The model frame is that of the root link, which is held fixed; at rest all joints are at zero. A root link
that is called world is the world itself, and what is drawn on it is left out.

Joints may be fixed, revolute or continuous. Limits of effort and speed have no effect: muscles make torques.
`cosim.body.readers.urdf_shapes` says which shapes are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from pydantic import BaseModel

from cosim.body import bodyfile
from cosim.body.musculoskeletal.description import WORLD, Fraction, Joint, Link
from cosim.body.readers import urdf_shapes, xmlfile
from cosim.body.readers.frames import IDENTITY, Frame, frame
from cosim.body.rotation import rpy_from_matrix

JOINT_TYPES = {"fixed": "fixed", "revolute": "revolute", "continuous": "revolute"}
# For links that do not move: theirs have no effect, and many files leave them out or write zeros.
STILL = {"mass_kg": 1.0, "inertia_kg_m2": {"xx": 1.0, "yy": 1.0, "zz": 1.0}}
# Moments must be given, products are zero otherwise.
INERTIA_DEFAULTS = {"xx": None, "yy": None, "zz": None, "xy": "0", "xz": "0", "yz": "0"}


class Mechanism(BaseModel):
    """What is read of a file; the joint that holds the root link comes first."""

    links: tuple[Link, ...]
    joints: tuple[Joint, ...]
    colours: dict[str, tuple[Fraction, Fraction, Fraction]]


def read(path: Path) -> Mechanism:
    """The mechanism in the file at ``path``; one ValueError that lists every problem found."""
    robot = xmlfile.read(path)
    _check_kind(path, robot)
    names = xmlfile.convert(path, robot.iterfind("link"), _name)
    joints = xmlfile.convert(path, robot.iterfind("joint"), _joint)
    problems = [*_dangling(names, joints)] or [*_tangled(names, joints)]
    if problems:
        raise bodyfile.refusal(path, problems)
    origins = dict(xmlfile.convert(path, robot.iterfind("joint"), _origin))
    parents = {joint["child"]: joint["parent"] for joint in joints}
    moving = _below([joint["child"] for joint in joints if joint["type"] != "fixed"], joints)
    colours = urdf_shapes.colours(path, robot)

    def convert(link: Element) -> dict[str, Any]:
        name = _name(link)
        return _link(link, _rest(name, parents, origins), name in moving, colours)

    drawn = [link for link in robot.iterfind("link") if link.get("name") != WORLD]
    content = {"links": xmlfile.convert(path, drawn, convert), "joints": joints, "colours": colours}
    if WORLD not in names:
        (root,) = _roots(names, joints)
        joints.insert(0, {"name": f"{WORLD}_{root}", "type": "fixed", "parent": WORLD, "child": root})
    return bodyfile.validate(path, content, Mechanism)


def _check_kind(path: Path, robot: Element) -> None:
    if robot.tag != "robot":
        raise ValueError(f"{path}: the root element is <{robot.tag}>, that of a URDF file is <robot>")
    for element in robot.iter():
        if "xacro" in element.tag:
            name = element.tag.rpartition("}")[2]
            raise ValueError(f"{path}: <xacro:{name}> is not supported: let xacro write a plain file first")


def _name(link: Element) -> str:
    return xmlfile.attribute(link, "name", "links")


def _joint(joint: Element) -> dict[str, Any]:
    """``joint`` as in a body file; its origin is the frame of its child."""
    name, kind = joint.get("name"), joint.get("type")
    where = f"joints[{name}]"
    if kind not in JOINT_TYPES:
        raise ValueError(f"{where}.type = {kind!r}: supported are {', '.join(JOINT_TYPES)}")
    mimic = joint.find("mimic")
    if mimic is not None:
        raise ValueError(f"{where}: mimic {mimic.get('joint')!r} is not supported, every joint moves by itself")
    ends = {end: xmlfile.attribute(joint, f"{end}/link", where) for end in ("parent", "child")}
    made = {"name": name, "type": JOINT_TYPES[kind], **ends}
    return made if kind == "fixed" else {**made, **_freedom(joint, kind, where)}


def _freedom(joint: Element, kind: str, where: str) -> dict[str, Any]:
    """How a joint that is not fixed moves."""
    axis = np.array(xmlfile.vector(joint, "axis/xyz", 3, where, "1 0 0"))
    (friction,) = xmlfile.vector(joint, "dynamics/friction", 1, where, "0")
    if friction != 0.0:
        raise ValueError(f"{where}.dynamics.friction = {friction:g}: must be 0, only damping is supported")
    (damping,) = xmlfile.vector(joint, "dynamics/damping", 1, where, "0")
    made = {"axis": (axis / (np.linalg.norm(axis) or 1.0)).tolist(), "damping_N_m_s_rad": damping}
    if kind == "revolute":
        if joint.find("limit") is None:
            raise ValueError(f"{where}: a revolute joint needs a limit; a continuous one has none")
        limits = [xmlfile.vector(joint, f"limit/{side}", 1, where, "0")[0] for side in ("lower", "upper")]
        made["limits_rad"] = limits
    return made


def _dangling(names: list[str], joints: list[dict[str, Any]]) -> Iterator[str]:
    """Joints between links that are not there."""
    for joint in joints:
        for end in ("parent", "child"):
            if joint[end] not in names:
                yield (f"joints[{joint['name']}].{end} = {joint[end]!r}: no such link, there are {', '.join(names)}")


def _tangled(names: list[str], joints: list[dict[str, Any]]) -> Iterator[str]:
    """What is no tree with one root."""
    for name, n in Counter(names).items():
        if n > 1:
            yield f"links[{name}]: {n} links have this name, names are unique"
    for child, n in Counter(joint["child"] for joint in joints).items():
        if n > 1:
            yield f"links[{child}]: child of {n} joints, a link is the child of at most one"
    roots = _roots(names, joints)
    if len(roots) != 1:
        yield f"links that are no joint's child: {', '.join(roots) or 'none'}; there must be one, the root"
    elif WORLD in names and roots != [WORLD]:
        yield f"links[{WORLD}]: only the root link may have this name, the root is {roots[0]!r}"
    elif circle := sorted(set(names) - _below(roots, joints)):
        yield f"links {', '.join(circle)}: their joints go round in a circle, they must lead to {roots[0]!r}"


def _roots(names: list[str], joints: list[dict[str, Any]]) -> list[str]:
    children = {joint["child"] for joint in joints}
    return [name for name in names if name not in children]


def _below(links: list[str], joints: list[dict[str, Any]]) -> set[str]:
    """``links`` and all that hangs on them."""
    found, new = set(), set(links)
    while new:
        found |= new
        new = {joint["child"] for joint in joints if joint["parent"] in found} - found
    return found


def _origin(joint: Element) -> tuple[str, Frame]:
    """The child of ``joint`` and its frame in that of the parent, with the joint at zero."""
    where = f"joints[{joint.get('name')}]"
    return xmlfile.attribute(joint, "child/link", where), frame(joint, where)


def _rest(link: str, parents: dict[str, str], origins: dict[str, Frame]) -> Frame:
    """The frame of ``link`` in the model frame at rest."""
    if link not in parents:
        return IDENTITY
    return _rest(parents[link], parents, origins).times(origins[link])


def _link(link: Element, rest: Frame, moves: bool, colours: dict[str, Any]) -> dict[str, Any]:
    """``link`` as in a body file."""
    where = f"links[{link.get('name')}]"
    return {
        "name": link.get("name"),
        "position_m": rest.position.tolist(),
        "rpy_rad": rpy_from_matrix(rest.rotation).tolist(),
        **_inertial(link, moves, where),
        "shapes": list(urdf_shapes.shapes(link, where, colours)),
    }


def _inertial(link: Element, moves: bool, where: str) -> dict[str, Any]:
    if not moves:
        return STILL
    inertial = link.find("inertial")
    if inertial is None:
        raise ValueError(f"{where}: it moves and has no inertial, so its mass is unknown")
    (mass,) = xmlfile.vector(inertial, "mass/value", 1, f"{where}.inertial")
    tensor = {
        axes: xmlfile.vector(inertial, f"inertia/i{axes}", 1, f"{where}.inertial", default)[0]
        for axes, default in INERTIA_DEFAULTS.items()
    }
    com = frame(inertial, f"{where}.inertial")
    return {
        "mass_kg": mass,
        "inertia_kg_m2": tensor,
        "com_m": com.position.tolist(),
        "com_rpy_rad": rpy_from_matrix(com.rotation).tolist(),
    }
