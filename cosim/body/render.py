# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures of a body with muscles, from joint angles alone.

PyBullet's software renderer draws them from primitives. No simulation and no display are needed. Muscles are
coloured by activation, from blue (0) to red (1).
"""

import numpy as np
import pybullet
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from cosim.body.description import Description, Shape
from cosim.body.kinematics import Kinematics
from cosim.body.rotation import rpy_from_matrix

# Bodies of any size are drawn this large: the renderer's depth and light are made for scenes of a few units.
SCENE_SIZE = 2.0
# A narrow view keeps proportions true; the margin leaves room to move around the rest pose.
FIELD_OF_VIEW_DEG = 20.0
MARGIN = 1.15
MUSCLE_RADIUS = 0.016  # in the scene's units
# Width and height in pixels of one moment among several.
MOMENT_SIZE = (440, 640)
# How finely round things are cut.
AROUND, CAP_RINGS = 24, 6
# Pictures are drawn this many times finer and averaged, as the renderer does not smooth edges.
OVERSAMPLING = 2
ACTIVATION_COLOURS = LinearSegmentedColormap.from_list("activation", [(0.10, 0.25, 0.90), (0.92, 0.08, 0.08)])


def render(description: Description, joint_angle_rad, activation, width: int, height: int) -> np.ndarray:
    """Picture (height, width, 3) uint8 of the body at joint angles (n_joints,), activations (n_muscles,).

    The camera follows from the description alone, so that pictures of one body can be compared.
    """
    renderer = Renderer(description)
    try:
        return renderer.picture(joint_angle_rad, activation, width, height)
    finally:
        renderer.close()


def draw_moments(path, description: Description, joint_angle_rad, activation, captions):
    """Write a picture file with the body at several moments side by side, each under its caption.

    ``joint_angle_rad`` (n_moments, n_joints), ``activation`` (n_moments, n_muscles), one caption per moment.
    """
    figure = Figure(figsize=(3.2 * len(captions) + 0.8, 4.8), layout="constrained")
    panels = figure.subplots(1, len(captions), squeeze=False)[0]
    for panel, angle, level, caption in zip(panels, joint_angle_rad, activation, captions, strict=True):
        panel.imshow(render(description, angle, level, *MOMENT_SIZE))
        panel.set_title(caption)
        panel.set_axis_off()
    figure.colorbar(ScalarMappable(cmap=ACTIVATION_COLOURS), ax=panels, label="muscle activation", shrink=0.5)
    figure.savefig(path, dpi=150)


def draw_run(path, description: Description, run):
    """`draw_moments` of the start, the middle and the end of ``run``, a `RunData` of at least one step."""
    times_ms = run.body["time_ms"]
    rows = [0, len(times_ms) // 2, len(times_ms) - 1]
    angles, activations = (run.body[name][rows] for name in ("joint_angle_rad", "muscle_activation"))
    draw_moments(path, description, angles, activations, [f"{times_ms[row]:g} ms" for row in rows])


class Renderer:
    """Draws ``description`` in a PyBullet world of its own."""

    def __init__(self, description: Description):
        self._description = description
        self._kinematics = Kinematics(description)
        self._toward = np.array(description.view_from) / np.linalg.norm(description.view_from)
        self._frame()
        self._client = pybullet.connect(pybullet.DIRECT)

    def picture(self, joint_angle_rad, activation, width: int, height: int) -> np.ndarray:
        """Picture (height, width, 3) uint8 at joint angles (n_joints,) and activations (n_muscles,)."""
        pybullet.resetSimulation(physicsClientId=self._client)
        angle = np.asarray(joint_angle_rad, dtype=float)
        for link in self._description.links:
            rotation, position = self._kinematics.link_pose(angle, link.name)
            for shape in link.shapes:
                self._draw(shape, rotation, position)
        self._draw_muscles(angle, activation)
        return self._shoot(width, height)

    def close(self):
        """Leave the PyBullet world; the renderer cannot be used any more."""
        pybullet.disconnect(physicsClientId=self._client)

    def _frame(self):
        """Aim at what moves, as it is at rest; what is fixed is scenery and may be cut off."""
        points = np.concatenate([*self._outlines(), self._kinematics.path_points.position])
        if not len(points):
            raise ValueError(f"{self._description.name}: there is nothing to draw, as no link that moves has "
                             "shapes and there are no muscles")
        up = np.array([0.0, 0.0, 1.0])
        right = np.cross(up, self._toward)
        right /= np.linalg.norm(right)
        axes = np.array([right, np.cross(self._toward, right), self._toward])
        low, high = (points @ axes.T).min(axis=0), (points @ axes.T).max(axis=0)
        self._centre = 0.5 * (low + high) @ axes
        self._scale = SCENE_SIZE / (high - low)[:2].max()
        self._half_width, self._half_height = 0.5 * self._scale * (high - low)[:2]

    def _outlines(self):
        """Corners (n, 3) at rest of the shapes of each link that moves."""
        moving = {joint.child for joint in self._description.revolute_joints}
        for link in self._description.links:
            for shape in link.shapes if link.name in moving else ():
                yield np.array([link.in_model(corner) for corner in _corners(shape)])

    def _draw(self, shape: Shape, rotation, position):
        colour = self._description.colours[shape.colour]
        if shape.kind == "box":
            half = 0.5 * self._scale * np.array(shape.size_m)
            solid = pybullet.createVisualShape(pybullet.GEOM_BOX, halfExtents=half.tolist(),
                                               **self._look(colour))
            self._add(solid, self._place(rotation @ shape.centre_m + position), _quaternion(rotation))
            return
        ends = shape.ends_m if shape.kind == "rod" else (shape.centre_m, shape.centre_m)
        a, b = (self._place(rotation @ end + position) for end in ends)
        self._rod(a, b, shape.radius_m * self._scale, colour)

    def _draw_muscles(self, angle, activation):
        points = [self._place(point) for point in
                  self._kinematics.positions(angle, self._kinematics.path_points)]
        start = self._kinematics.path_start
        for first, end, level in zip(start, start[1:], activation):
            for a, b in zip(points[first:end - 1], points[first + 1:end]):
                self._rod(a, b, MUSCLE_RADIUS, ACTIVATION_COLOURS(float(level))[:3])

    def _rod(self, a, b, radius: float, colour):
        """A round rod with round ends from ``a`` to ``b``; a ball where the two are one."""
        vertices, normals, triangles = _rod_mesh(a, b, radius)
        self._add(pybullet.createVisualShape(
            pybullet.GEOM_MESH, vertices=vertices.tolist(), normals=normals.tolist(), indices=triangles,
            **self._look(colour)))

    def _look(self, colour) -> dict:
        return {"rgbaColor": [*colour, 1.0], "physicsClientId": self._client}

    def _add(self, solid: int, position=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0, 1.0)):
        pybullet.createMultiBody(baseVisualShapeIndex=solid, basePosition=position, baseOrientation=turn,
                                 physicsClientId=self._client)

    def _place(self, point_m) -> np.ndarray:
        """A point of the model (m) in the scene."""
        return (point_m - self._centre) * self._scale

    def _shoot(self, width: int, height: int) -> np.ndarray:
        half_view = MARGIN * max(self._half_height, self._half_width * height / width)
        distance = half_view / np.tan(np.radians(0.5 * FIELD_OF_VIEW_DEG))
        view = pybullet.computeViewMatrix(distance * self._toward, [0.0, 0.0, 0.0], [0.0, 0.0, 1.0])
        projection = pybullet.computeProjectionMatrixFOV(
            FIELD_OF_VIEW_DEG, width / height, distance - 2.0 * SCENE_SIZE, distance + 4.0 * SCENE_SIZE)
        n = OVERSAMPLING
        rgba = pybullet.getCameraImage(
            n * width, n * height, view, projection,
            lightDirection=(2.0 * self._toward + [0.0, 0.0, 3.0]).tolist(), shadow=0,
            lightAmbientCoeff=0.65, lightDiffuseCoeff=0.45, lightSpecularCoeff=0.1,
            renderer=pybullet.ER_TINY_RENDERER, physicsClientId=self._client)[2]
        fine = np.reshape(rgba, (height, n, width, n, 4))[..., :3]
        return fine.mean(axis=(1, 3)).astype(np.uint8)


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
