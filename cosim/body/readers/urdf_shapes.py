# SPDX-License-Identifier: GPL-2.0-or-later
"""Shapes and colours of the links in a URDF file.

Boxes, spheres, cylinders and capsules are kept, of visual elements for pictures and of collision elements as
solid shapes. A cylinder becomes a rod of its length with round ends, a flat one a sphere. Meshes are left
out, and so are boxes whose edges do not follow the axes of the link: they are not drawn, and nothing touches
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from cosim.body.readers import xmlfile
from cosim.body.readers.frames import Frame, frame

# What has no colour in the file.
PLAIN, PLAIN_RGB = "plain", (0.7, 0.7, 0.7)


def colours(path: Path, robot: Element) -> dict[str, tuple[float, float, float]]:
    """Red, green and blue of every material with a colour, by its name."""
    materials = [material for material in robot.iter("material") if material.find("color") is not None]
    return {PLAIN: PLAIN_RGB, **dict(xmlfile.convert(path, materials, _colour))}


def shapes(link: Element, where: str, known_colours: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Shapes of ``link`` as in a body file; one that is both visual and collision is there once."""
    solids = [shape for shape in _primitives(link, "collision", where) if shape]
    for visual, shape in zip(link.iterfind("visual"), _primitives(link, "visual", where), strict=True):
        if shape:
            yield {**shape, "colour": _colour_of(visual, known_colours), "solid": shape in solids}
            solids = [solid for solid in solids if solid != shape]
    for shape in solids:
        yield {**shape, "colour": PLAIN, "solid": True}


def _colour(material: Element) -> tuple[str, tuple[float, ...]]:
    name = _name(material)
    return name, tuple(xmlfile.vector(material, "color/rgba", 4, f"materials[{name}]")[:3])


def _name(material: Element) -> str:
    """A material's name; of one without a name, its colour."""
    return material.get("name") or xmlfile.attribute(material, "color/rgba", "material", "")


def _colour_of(visual: Element, known_colours: dict[str, Any]) -> str:
    material = visual.find("material")
    if material is None or (material.find("color") is None and material.get("name") not in known_colours):
        return PLAIN
    return _name(material)


def _primitives(link: Element, kind: str, where: str) -> list[dict[str, Any] | None]:
    return [_primitive(element, f"{where}.{kind}[{i}]") for i, element in enumerate(link.iterfind(kind))]


def _primitive(element: Element, where: str) -> dict[str, Any] | None:
    """Shape of a visual or collision element; None where it is of a kind that is left out."""
    geometry = element.find("geometry/*")
    if geometry is None:
        raise ValueError(f"{where}: it has no geometry")
    place = frame(element, where)
    if geometry.tag == "box":
        return _box(place, xmlfile.vector(geometry, "size", 3, where))
    if geometry.tag not in ("sphere", "cylinder", "capsule"):
        return None
    (radius,) = xmlfile.vector(geometry, "radius", 1, where)
    if geometry.tag == "sphere":
        return _ball(place, radius)
    (length,) = xmlfile.vector(geometry, "length", 1, where)
    return _rod(place, radius, length - (2.0 * radius if geometry.tag == "cylinder" else 0.0))


def _ball(place: Frame, radius: float) -> dict[str, Any]:
    return {"kind": "sphere", "centre_m": place.position.tolist(), "radius_m": radius}


def _rod(place: Frame, radius: float, straight: float) -> dict[str, Any]:
    """A rod along z, ``straight`` long without its round ends; a ball where nothing is left of it."""
    if straight <= 0.0:
        return _ball(place, radius)
    ends = [place.at((0.0, 0.0, side * straight / 2.0)).tolist() for side in (-1.0, 1.0)]
    return {"kind": "rod", "ends_m": ends, "radius_m": radius}


def _box(place: Frame, size: list[float]) -> dict[str, Any] | None:
    """A box that is turned by quarter turns only; None for others."""
    quarter_turns = np.rint(place.rotation)
    if not np.allclose(place.rotation, quarter_turns, atol=1e-6):
        return None
    size_m = abs(quarter_turns) @ size
    return {"kind": "box", "centre_m": place.position.tolist(), "size_m": size_m.tolist()}
