# SPDX-License-Identifier: GPL-2.0-or-later
"""What a body file takes over from other files: ``urdf`` names links and joints, ``osim`` names muscles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cosim.body import bodyfile
from cosim.body.musculoskeletal.description import Link, Muscle, Point
from cosim.body.readers import osim, urdf

KEYS = ("urdf", "osim", "osim_bodies")


def include(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """``content`` of the body file at ``path``, with links, joints, colours, muscles of the files it names.

    They come before those of the body file itself, whose colours win. Paths are relative to the body file.
    ``osim_bodies`` says which link a body of the OpenSim file is, where the names differ. Raises ValueError
    that names the file that is wrong.
    """
    made = {key: value for key, value in content.items() if key not in KEYS}
    if "urdf" in content:
        mechanism = urdf.read(_file(path, content, "urdf"))
        made["links"] = _joined(mechanism.links, content.get("links", []))
        made["joints"] = _joined(mechanism.joints, content.get("joints", []))
        own = content.get("colours", {})
        made["colours"] = {**mechanism.colours, **own} if isinstance(own, dict) else own
    if "osim" in content:
        file = _file(path, content, "osim")
        muscles = _renamed(path, osim.read(file), content.get("osim_bodies", {}))
        problems = list(_unknown_bodies(muscles, _names(made.get("links"))))
        if problems:
            raise bodyfile.refusal(file, problems)
        made["muscles"] = _joined(muscles, content.get("muscles", []))
    elif "osim_bodies" in content:
        raise ValueError(f"{path}: osim_bodies is of no use without osim")
    return made


def _file(path: Path, content: dict[str, Any], key: str) -> Path:
    name = content[key]
    if not isinstance(name, str):
        raise ValueError(f"{path}: {key} = {name!r}: must be the name of a file")
    if not (path.parent / name).is_file():
        raise ValueError(f"{path}: {key} = {name!r}: there is no file {path.parent / name}")
    return path.parent / name


def _joined(included: Sequence[Any], own: Any) -> Any:
    """Both; only ``own`` where it is no list, to be refused with the rest of the body file."""
    return [*included, *own] if isinstance(own, list) else own


def _renamed(path: Path, muscles: tuple[Muscle, ...], links: Any) -> list[Muscle]:
    """``muscles`` on the ``links`` that stand for OpenSim's bodies."""
    if not (isinstance(links, dict) and all(isinstance(link, str) for link in links.values())):
        raise ValueError(f"{path}: osim_bodies = {links!r}: must be a table of names of links")
    bodies = {point.link for muscle in muscles for point in muscle.path}
    unused = [
        f"osim_bodies.{body}: no muscle has a point on this body, there are {', '.join(sorted(bodies))}"
        for body in links
        if body not in bodies
    ]
    if unused:
        raise bodyfile.refusal(path, unused)
    return [
        muscle.model_copy(
            update={
                "path": tuple(
                    Point(link=links.get(point.link, point.link), point_m=point.point_m) for point in muscle.path
                )
            }
        )
        for muscle in muscles
    ]


def _unknown_bodies(muscles: list[Muscle], links: list[str]) -> Iterator[str]:
    for muscle in muscles:
        for i, point in enumerate(muscle.path):
            if point.link not in links:
                yield (
                    f"muscles[{muscle.name}].path[{i}]: body {point.link!r} is no link, there are "
                    f"{', '.join(links)}; osim_bodies in the body file can say which link it is"
                )


def _names(links: Any) -> list[str]:
    """Names of links that are read already and of links as they are in a body file."""
    if not isinstance(links, list):
        return []
    parts = (vars(link) if isinstance(link, Link) else link for link in links)
    return [str(part.get("name")) for part in parts if isinstance(part, dict)]
