# SPDX-License-Identifier: GPL-2.0-or-later
"""XML files: trees, numbers in elements, and one message with everything that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from cosim.body import bodyfile


def read(path: Path) -> Element:
    """Root element of the XML file at ``path``; ValueError where it is none."""
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: not valid XML: {error}") from error


def convert(path: Path, elements: Iterable[Element], make: Callable[[Element], Any]) -> list[Any]:
    """What ``make`` gives for each of ``elements``; one ValueError with all that it refuses in ``path``."""
    made, problems = [], []
    for element in elements:
        try:
            made.append(make(element))
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise bodyfile.refusal(path, problems)
    return made


def numbers(text: str, count: int, where: str) -> list[float]:
    """The ``count`` numbers in ``text``, apart by blanks; ValueError with ``where`` and ``text`` if not."""
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        values = []
    if len(values) != count:
        raise ValueError(f"{where} = {text.strip()!r}: must be {count} number{'s' if count > 1 else ''}")
    return values


def attribute(element: Element, place: str, where: str, default: str | None = None) -> str:
    """The attribute at ``place``, such as ``axis/xyz``; ValueError where it is missing and no ``default``."""
    child, _, name = place.rpartition("/")
    owner = element.find(child) if child else element
    text = default if owner is None else owner.get(name, default)
    if text is None:
        raise ValueError(f"{where}: {place.replace('/', '.')} is missing")
    return text


def vector(element: Element, place: str, count: int, where: str, default: str | None = None) -> list[float]:
    """The ``count`` numbers of the attribute at ``place``; ValueError as in `attribute` and `numbers`."""
    return numbers(attribute(element, place, where, default), count, f"{where}.{place.replace('/', '.')}")
