# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures and films of a body with muscles, from joint angles alone.

PyBullet's software renderer draws them from primitives. No simulation and no display are needed. Muscles are
coloured by activation, from blue (0) to red (1).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pybullet
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from cosim.body.musculoskeletal.description import ORIGIN, Link, Muscle, MusculoskeletalDescription, Point, Shape
from cosim.body.musculoskeletal.kinematics import Kinematics, Points
from cosim.body.rotation import rpy_from_matrix
from cosim.show.bodies.camera import Layer, aim
from cosim.show.bodies.pictures import Film, Pictures

# Bodies of any size are drawn this far away, as the renderer is made for scenes of a few units.
DISTANCE = 6.5
DEPTHS = (DISTANCE - 4.0, DISTANCE + 8.0)
# A narrow view keeps proportions true.
FIELD_OF_VIEW_DEG = 20.0
MARGIN = 1.06
MUSCLE_RADIUS = 0.016  # in the scene's units
# Width and height in pixels of one moment among several.
MOMENT_SIZE = (440, 640)
# How finely round things are cut.
AROUND, CAP_RINGS = 24, 6
ACTIVATION_COLOURS = LinearSegmentedColormap.from_list("activation", [(0.10, 0.25, 0.90), (0.92, 0.08, 0.08)])


def film(description: MusculoskeletalDescription, run, rows: np.ndarray, width: int, height: int) -> Film:
    """The body at some ``rows`` of the series of ``run``, a `RunData`; all of the motion is in view.

    Raises ValueError where the series are not those of this body.
    """
    columns = {
        "joint_angle_rad": [joint.name for joint in description.revolute_joints],
        "muscle_activation": [muscle.name for muscle in description.muscles],
    }
    for series, names in columns.items():
        if series not in run.body:
            there_is = ", ".join(run.body)
            raise ValueError(f"no {series} was recorded, as is of a body with muscles; there is {there_is}")
        if run.columns(series) != names:
            raise ValueError(
                f"{series} was recorded of {', '.join(run.columns(series))}, "
                f"but the body {description.name} has {', '.join(names)}"
            )
    angles, activations = (run.body[series][rows] for series in columns)
    renderer = Renderer(description, width, height, angles)
    return Film(_pictures(renderer, angles, activations), ("activation", ACTIVATION_COLOURS))


def _pictures(renderer: Renderer, angles, activations) -> Generator[np.ndarray]:
    try:
        yield from map(renderer.picture, angles, activations)
    finally:
        renderer.close()


def draw_moments(path, description: MusculoskeletalDescription, joint_angle_rad, activation, captions):
    """Write a picture file with the body at several moments side by side, each under its caption.

    ``joint_angle_rad`` (n_moments, n_joints), ``activation`` (n_moments, n_muscles), one caption per moment.
    """
    figure = Figure(figsize=(3.2 * len(captions) + 0.8, 4.8), layout="constrained")
    panels = figure.subplots(1, len(captions), squeeze=False)[0]
    pictures = _pictures(Renderer(description, *MOMENT_SIZE, joint_angle_rad), joint_angle_rad, activation)
    for panel, picture, caption in zip(panels, pictures, captions, strict=True):
        panel.imshow(picture)
        panel.set_title(caption)
        panel.set_axis_off()
    figure.colorbar(ScalarMappable(cmap=ACTIVATION_COLOURS), ax=panels, label="muscle activation", shrink=0.5)
    figure.savefig(path, dpi=150)


def draw_run(path, description: MusculoskeletalDescription, run):
    """`draw_moments` of the start, the middle and the end of ``run``, a `RunData` of at least one step."""
    times_ms = run.body["time_ms"]
    rows = [0, len(times_ms) // 2, len(times_ms) - 1]
    angles, activations = (run.body[name][rows] for name in ("joint_angle_rad", "muscle_activation"))
    draw_moments(path, description, angles, activations, [f"{times_ms[row]:g} ms" for row in rows])


class _Strand(NamedTuple):
    """What is drawn of a muscle: pieces on one link, which move with it, and spans, which are made anew."""

    pieces: list[int]
    """PyBullet bodies."""
    spans: list[int]
    """Each goes from this path point to the next."""


class Renderer:
    """Draws ``description`` in a PyBullet world of its own, with a camera that stands still.

    The camera has all that moves in view in each of ``poses`` (n_poses, n_joints); without any, at rest.
    """

    def __init__(self, description: MusculoskeletalDescription, width: int, height: int, poses=None):
        self._description = description
        self._kinematics = Kinematics(description)
        self._toward = np.array(description.view_from) / np.linalg.norm(description.view_from)
        at_rest = np.zeros((1, len(description.revolute_joints)))
        self._frame(at_rest if poses is None else np.asarray(poses, dtype=float), width, height)
        self._client = pybullet.connect(pybullet.DIRECT)
        self._scenery = self._shoot_scenery()
        self._bodies = {link.name: self._solids(link) for link in description.links if self._moves(link)}
        self._strands = [
            self._strand(muscle, start)
            for muscle, start in zip(description.muscles, self._kinematics.path_start, strict=False)
        ]
        self._stretched: list[int] = []

    def picture(self, joint_angle_rad, activation) -> np.ndarray:
        """Picture (height, width, 3) uint8 at joint angles (n_joints,) and activations (n_muscles,)."""
        angle = np.asarray(joint_angle_rad, dtype=float)
        for link, bodies in self._bodies.items():
            self._move(bodies, *self._kinematics.link_pose(angle, link))
        self._draw_muscles(angle, activation)
        return self._camera.picture(self._scenery.behind(self._shoot()))

    def close(self):
        """Leave the PyBullet world; the renderer cannot be used any more."""
        pybullet.disconnect(physicsClientId=self._client)

    def _frame(self, poses, width: int, height: int):
        """Aim at what moves and at the muscles; what is fixed is scenery and may be cut off."""
        shown = [_moving(self._kinematics.points(list(_outlines(self._description)))), self._kinematics.path_points]
        points = np.concatenate([self._kinematics.positions(pose, each) for pose in poses for each in shown])
        if not len(points):
            raise ValueError(
                f"{self._description.name}: there is nothing to draw, as no link that moves has "
                "shapes and there are no muscles"
            )
        camera = aim(points, self._toward, FIELD_OF_VIEW_DEG, MARGIN, width, height)
        self._centre, self._scale = camera.focus, DISTANCE / camera.distance
        self._camera = replace(camera, eye=self._place(camera.eye), focus=self._place(camera.focus))

    def _shoot(self) -> Layer:
        return self._camera.look(
            self._client,
            DEPTHS,
            lightDirection=(2.0 * self._toward + [0.0, 0.0, 3.0]).tolist(),
            lightAmbientCoeff=0.65,
            lightDiffuseCoeff=0.45,
            lightSpecularCoeff=0.1,
        )

    def _shoot_scenery(self) -> Layer:
        """What never moves is drawn once, and then only stands behind, or in front of, what does."""
        rest = np.zeros(len(self._description.revolute_joints))
        still = {link.name: self._solids(link) for link in self._description.links if not self._moves(link)}
        for link, bodies in still.items():
            self._move(bodies, *self._kinematics.link_pose(rest, link))
        layer = self._shoot()
        self._remove([body for bodies in still.values() for body in bodies])
        return layer

    def _moves(self, link: Link) -> bool:
        return len(_moving(self._kinematics.points([Point(link=link.name, point_m=ORIGIN)])).joint) > 0

    def _place(self, point_m) -> np.ndarray:
        """A point of the model (m) in the scene."""
        return (point_m - self._centre) * self._scale

    def _solids(self, link: Link) -> list[int]:
        """PyBullet bodies of the shapes of ``link``, with its frame."""
        return [self._solid(shape, self._description.colours[shape.colour]) for shape in link.shapes]

    def _solid(self, shape: Shape, colour) -> int:
        if shape.kind == "box":
            half, centre = 0.5 * self._scale * np.array(shape.size_m), self._scale * np.array(shape.centre_m)
            return self._add(
                colour, shapeType=pybullet.GEOM_BOX, halfExtents=half.tolist(), visualFramePosition=centre.tolist()
            )
        ends = shape.ends_m if shape.kind == "rod" else (shape.centre_m, shape.centre_m)
        a, b = self._scale * np.array(ends)
        return self._rod(a, b, shape.radius_m * self._scale, colour)

    def _strand(self, muscle: Muscle, start: int) -> _Strand:
        """Makes the pieces, which move with the links' other bodies from now on."""
        strand = _Strand([], [])
        for i, (a, b) in enumerate(pairwise(muscle.path), start):
            if a.link != b.link:
                strand.spans.append(i)
                continue
            start_m, end_m = self._scale * np.array([a.point_m, b.point_m])
            strand.pieces.append(self._rod(start_m, end_m, MUSCLE_RADIUS, ACTIVATION_COLOURS(0.0)))
            self._bodies.setdefault(a.link, []).append(strand.pieces[-1])
        return strand

    def _draw_muscles(self, angle, activation):
        self._remove(self._stretched)
        points = self._place(self._kinematics.positions(angle, self._kinematics.path_points))
        self._stretched = []
        for strand, level in zip(self._strands, activation, strict=True):
            colour = ACTIVATION_COLOURS(float(level))
            for body in strand.pieces:
                pybullet.changeVisualShape(body, -1, rgbaColor=colour, physicsClientId=self._client)
            self._stretched += [self._rod(points[i], points[i + 1], MUSCLE_RADIUS, colour) for i in strand.spans]

    def _rod(self, a, b, radius: float, colour) -> int:
        """A round rod with round ends from ``a`` to ``b``; a ball where the two are one."""
        vertices, normals, triangles = _rod_mesh(a, b, radius)
        return self._add(
            colour,
            shapeType=pybullet.GEOM_MESH,
            vertices=vertices.tolist(),
            normals=normals.tolist(),
            indices=triangles,
        )

    def _add(self, colour, **shape) -> int:
        skin = pybullet.createVisualShape(rgbaColor=[*colour[:3], 1.0], physicsClientId=self._client, **shape)
        return pybullet.createMultiBody(baseVisualShapeIndex=skin, physicsClientId=self._client)

    def _remove(self, bodies: list[int]):
        for body in bodies:
            pybullet.removeBody(body, physicsClientId=self._client)

    def _move(self, bodies: list[int], rotation, position_m):
        place, turn = self._place(position_m), _quaternion(rotation)
        for body in bodies:
            pybullet.resetBasePositionAndOrientation(body, place, turn, physicsClientId=self._client)


def _moving(points: Points) -> Points:
    """Those of ``points`` that a joint carries."""
    carried = points.joint >= 0
    return Points(points.joint[carried], points.position[carried])


def _outlines(description: MusculoskeletalDescription) -> Iterator[Point]:
    """Corners of boxes around all shapes."""
    for link in description.links:
        for shape in link.shapes:
            yield from (Point(link=link.name, point_m=corner) for corner in _corners(shape).tolist())


def _corners(shape: Shape) -> np.ndarray:
    """Corners (n, 3) of boxes around ``shape``, in m in its link's frame."""
    signs = np.array(np.meshgrid(*[(-1.0, 1.0)] * 3)).reshape(3, -1).T
    if shape.kind == "rod":
        return np.concatenate([end + shape.radius_m * signs for end in np.array(shape.ends_m)])
    half = 0.5 * np.array(shape.size_m) if shape.kind == "box" else shape.radius_m
    return shape.centre_m + half * signs


def _rod_mesh(a, b, radius: float) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Vertices (n, 3), outward normals (n, 3) and triangle corners of a round rod from ``a`` to ``b``.

    Two half balls; what joins their equators is the rod.
    """
    latitude = np.radians(np.concatenate([np.linspace(-90, 0, CAP_RINGS), np.linspace(0, 90, CAP_RINGS)]))
    longitude = np.linspace(0.0, 2.0 * np.pi, AROUND, endpoint=False)
    ring = np.column_stack([np.cos(longitude), np.sin(longitude)])
    ball = [np.column_stack([np.cos(lat) * ring, np.full(AROUND, np.sin(lat))]) for lat in latitude]
    normals = np.concatenate(ball) @ _frame_along(b - a)
    centres = np.repeat([a, b], CAP_RINGS * AROUND, axis=0)
    return centres + radius * normals, normals, _grid_triangles(len(latitude), AROUND)


def _grid_triangles(rings: int, around: int) -> list[int]:
    """Corners, as one flat list, of the triangles between ``rings`` closed rings of ``around`` vertices."""
    low = np.add.outer(np.arange(rings - 1) * around, np.arange(around)).ravel()
    low_next = low - low % around + (low + 1) % around
    high, high_next = low + around, low_next + around
    return np.column_stack([low, low_next, high, low_next, high_next, high]).ravel().tolist()


def _frame_along(direction) -> np.ndarray:
    """Three orthogonal unit vectors, as rows (3, 3), of which the last points along ``direction``."""
    length = np.linalg.norm(direction)
    z = direction / length if length > 0.0 else np.array([0.0, 0.0, 1.0])
    x = np.cross(z, [1.0, 0.0, 0.0] if abs(z[0]) < 0.9 else [0.0, 1.0, 0.0])
    x /= np.linalg.norm(x)
    return np.array([x, np.cross(z, x), z])


def _quaternion(rotation) -> tuple[float, float, float, float]:
    """Quaternion (x, y, z, w) of a rotation matrix (3, 3)."""
    return pybullet.getQuaternionFromEuler(rpy_from_matrix(rotation))


PICTURES = Pictures(draw_run, film, film_speed=0.25)
