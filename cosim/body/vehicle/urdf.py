# SPDX-License-Identifier: GPL-2.0-or-later
"""URDF files of vehicles as PyBullet should read them."""

from pathlib import Path
from xml.etree import ElementTree

from cosim.body.readers import xmlfile

# The root of the tree must have some mass, or PyBullet takes the whole vehicle for a part of the scenery.
ROOT_MASS_KG = 1e-3


def wheel_joints(file: Path) -> list[str]:
    """Names of the joints in ``file`` that turn without limits, as wheels do; ValueError if it is no URDF."""
    try:
        joints = ElementTree.parse(file).getroot().findall("joint")
    except ElementTree.ParseError as error:
        raise ValueError(f"not valid XML: {error}") from None
    return [xmlfile.attribute(joint, "name", "joint") for joint in joints if joint.get("type") == "continuous"]


def with_inertias(file: Path) -> str:
    """The text of ``file`` with an inertia for every link, and with absolute paths of meshes.

    To URDF a link without an inertia weighs nothing; PyBullet would give it 1 kg and 1 kg m^2, and say so on
    standard output. ValueError where a joint has no child or a mesh no file.
    """
    tree = ElementTree.parse(file).getroot()
    children = {xmlfile.attribute(joint, "child/link", f"joint {joint.get('name')}") for joint in tree.findall("joint")}
    for link in tree.findall("link"):
        if link.find("inertial") is None:
            _add_inertia(link, 0.0 if link.get("name") in children else ROOT_MASS_KG)
    for mesh in tree.iter("mesh"):
        mesh.set("filename", str(file.parent / xmlfile.attribute(mesh, "filename", "mesh")))
    return ElementTree.tostring(tree, encoding="unicode")


def _add_inertia(link: ElementTree.Element, mass_kg: float) -> None:
    inertial = ElementTree.SubElement(link, "inertial")
    ElementTree.SubElement(inertial, "mass", value=str(mass_kg))
    moments = dict.fromkeys(("ixx", "iyy", "izz"), str(mass_kg)) | dict.fromkeys(("ixy", "ixz", "iyz"), "0")
    ElementTree.SubElement(inertial, "inertia", moments)
