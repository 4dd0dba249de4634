# SPDX-License-Identifier: GPL-2.0-or-later
"""A camera that stands still and is aimed so that what it has to show fills its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import pybullet

# Pictures are drawn this many times finer and averaged, as the renderer does not smooth edges.
OVERSAMPLING = 2
UP = (0.0, 0.0, 1.0)


class Layer(NamedTuple):
    """What a camera saw of a world, finer than the picture: rows of pixels, (n, m) each."""

    colour: np.ndarray
    """uint32: the bytes red, green, blue and alpha of a pixel."""
    depth: np.ndarray
    """From 0, nearest, to 1, where nothing is."""

    def behind(self, front: Layer) -> Layer:
        """Both in one, seen by the same camera: of each pixel the nearer one."""
        nearer = front.depth < self.depth
        return Layer(np.where(nearer, front.colour, self.colour), np.where(nearer, front.depth, self.depth))


@dataclass(frozen=True)
class Camera:
    """Looks from ``eye`` to ``focus`` (3,), upright; its view is so many degrees high. Any unit of length."""

    eye: np.ndarray
    focus: np.ndarray
    field_of_view_deg: float
    width: int
    height: int

    @property
    def distance(self) -> float:
        """From eye to focus."""
        return float(np.linalg.norm(self.eye - self.focus))

    def look(self, client: int, depths: tuple[float, float], **light: object) -> Layer:
        """What there is in the PyBullet world ``client`` between two distances from the eye.

        ``light`` are PyBullet's own keywords. No display is needed.
        """
        view = pybullet.computeViewMatrix(self.eye.tolist(), self.focus.tolist(), UP)
        projection = pybullet.computeProjectionMatrixFOV(self.field_of_view_deg, self.width / self.height, *depths)
        width, height, colour, depth, _ = pybullet.getCameraImage(
            OVERSAMPLING * self.width,
            OVERSAMPLING * self.height,
            view,
            projection,
            shadow=0,
            renderer=pybullet.ER_TINY_RENDERER,
            physicsClientId=client,
            **light,
        )
        return Layer(np.reshape(colour, (height, width, 4)).view(np.uint32)[..., 0], np.reshape(depth, (height, width)))

    def picture(self, layer: Layer) -> np.ndarray:
        """``layer`` as a picture (height, width, 3) uint8."""
        n = OVERSAMPLING
        fine = layer.colour.view(np.uint8).reshape(self.height, n, self.width, n, 4)
        total = np.zeros((self.height, self.width, 4), np.uint16)
        for i, j in product(range(n), repeat=2):
            total += fine[:, i, :, j]
        return (total // n**2).astype(np.uint8)[..., :3]


def aim(
    points: np.ndarray, toward: Sequence[float], field_of_view_deg: float, margin: float, width: int, height: int
) -> Camera:
    """The nearest camera in direction ``toward`` of ``points`` (n, 3) that has all of them in its picture.

    ``margin``, 1 or more, is the width of the picture over the width that may be filled; heights likewise.
    """
    near = np.array(toward) / np.linalg.norm(toward)
    right = np.cross(UP, near)
    right /= np.linalg.norm(right)
    axes = np.array([right, np.cross(near, right), near])
    x, y, z = axes @ np.transpose(points)
    slope = np.tan(np.radians(0.5 * field_of_view_deg)) / margin
    (middle_x, distance_x), (middle_y, distance_y) = _fit(x, z, slope * width / height), _fit(y, z, slope)
    eye = [middle_x, middle_y, max(distance_x, distance_y)]
    focus = [middle_x, middle_y, 0.5 * (z.min() + z.max())]
    return Camera(eye @ axes, focus @ axes, field_of_view_deg, width, height)


def _fit(across: np.ndarray, near: np.ndarray, slope: float) -> tuple[float, float]:
    """Where an eye must be, across and near, so that |across - eye| <= slope (eye - near) of all points.

    The upper of these bounds is steepest at one point, the lower at another; the nearest eye touches both.
    """
    high, low = (across + slope * near).max(), (across - slope * near).min()
    return 0.5 * (high + low), 0.5 * (high - low) / slope
