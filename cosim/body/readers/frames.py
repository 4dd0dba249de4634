# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames in other frames, as URDF's origin elements give them."""

from __future__ import annotations

from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from cosim.body.readers.xmlfile import vector
from cosim.body.rotation import matrix_from_rpy


class Frame(NamedTuple):
    """A frame in another one: its ``rotation`` (3, 3), and its ``position`` (3,) in m."""

    rotation: np.ndarray
    position: np.ndarray

    def times(self, inner: Frame) -> Frame:
        """``inner``, which is given in this frame, in the frame that this one is given in."""
        return Frame(self.rotation @ inner.rotation, self.at(inner.position))

    def at(self, point_m) -> np.ndarray:
        """Where the point (3,), given in this frame, is in the frame that this one is given in."""
        return self.rotation @ point_m + self.position


IDENTITY = Frame(np.eye(3), np.zeros(3))


def frame(element: Element, where: str) -> Frame:
    """The frame of the origin of ``element``, by default that of its owner; ``where`` is for errors."""
    rpy_rad, xyz_m = (vector(element, f"origin/{name}", 3, where, "0 0 0") for name in ("rpy", "xyz"))
    return Frame(matrix_from_rpy(rpy_rad), np.array(xyz_m))
