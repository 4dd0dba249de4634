# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures of the forelimb: framed, coloured by activation, the same every time."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from cosim.body.kinds import load
from cosim.show.bodies.camera import Layer, aim
from cosim.show.bodies.musculoskeletal import Renderer, draw_moments

WIDTH, HEIGHT = 220, 320
REST = np.zeros(6)


def render(description, joint_angle_rad, activation, width: int, height: int) -> np.ndarray:
    """Picture (height, width, 3) uint8 of the body; the camera follows from the description alone."""
    renderer = Renderer(description, width, height)
    try:
        return renderer.picture(joint_angle_rad, activation)
    finally:
        renderer.close()


@pytest.fixture(scope="module")
def description():
    return load(Path(__file__).parents[1] / "models/forelimb/body.toml")


def count(picture, more, less):
    """Pixels in which one colour channel is far stronger than another."""
    return (picture[..., more].astype(int) - picture[..., less] > 100).sum()


def test_the_moving_parts_fill_the_picture(description):
    picture = render(description, REST, np.zeros(8), WIDTH, HEIGHT)
    assert picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8
    stick_and_base = picture.max(axis=2) < 120  # the only dark things; they reach to the bottom of the limb
    rows, columns = np.nonzero(stick_and_base)
    assert 0.93 * HEIGHT < rows.max() < 0.99 * HEIGHT
    assert columns.min() > 0.05 * WIDTH
    assert (picture[-1] == 255).all()


def test_muscles_turn_from_blue_to_red(description):
    passive, active = (render(description, REST, np.full(8, level), WIDTH, HEIGHT) for level in (0.0, 1.0))
    assert count(passive, 2, 0) > 200 and count(active, 2, 0) == 0
    assert count(active, 0, 2) > count(passive, 0, 2) + 200  # the knob is red in both


def test_the_limb_moves_and_the_camera_does_not(description):
    rest, bent = (
        render(description, angle, np.zeros(8), WIDTH, HEIGHT) for angle in (REST, np.array([0, 0, 0.5, 0, 0, 0]))
    )
    assert (rest != bent).any(axis=2).mean() > 0.01
    base = np.s_[-HEIGHT // 8 :]
    assert (rest[base] == bent[base]).all()


def test_the_camera_has_all_points_in_view_and_comes_as_near_as_it_can():
    points = np.random.default_rng(1).normal([3.0, -1.0, 0.5], [1.0, 0.2, 2.0], (50, 3))
    for width, height in ((400, 200), (100, 400)):
        camera = aim(points, (1.0, -0.5, 0.3), 30.0, 1.1, width, height)
        forward = (camera.focus - camera.eye) / camera.distance
        right = np.cross(forward, [0.0, 0.0, 1.0]) / np.linalg.norm(np.cross(forward, [0.0, 0.0, 1.0]))
        away = points - camera.eye
        half = np.tan(np.radians(15.0)) * (away @ forward)  # half of the picture's height there
        shares = [away @ right / half * height / width, away @ np.cross(right, forward) / half]
        assert np.abs(shares).max() == pytest.approx(1 / 1.1)
        fuller = shares[np.abs(shares).max(axis=1).argmax()]
        assert fuller.max() == pytest.approx(-fuller.min())


def test_of_two_layers_the_nearer_pixel_is_seen():
    colour, depth = np.array([[1, 2, 3]], np.uint32), np.array([[0.5, 0.2, 1.0]], np.float32)
    both = Layer(colour, depth).behind(Layer(10 * colour, np.array([[0.4, 0.3, 1.0]], np.float32)))
    assert both.colour.tolist() == [[10, 2, 3]]
    assert both.depth == pytest.approx(np.array([[0.4, 0.2, 1.0]]))


def test_a_renderer_keeps_nothing_of_the_picture_before(description):
    renderer = Renderer(description, WIDTH, HEIGHT)
    bent = np.array([0.2, -0.1, 0.5, 0.1, 0.0, 0.1])
    first = renderer.picture(REST, np.linspace(0, 1, 8))
    other = renderer.picture(bent, np.linspace(1, 0, 8))
    again = renderer.picture(REST, np.linspace(0, 1, 8))
    renderer.close()
    assert (first == again).all() and (first != other).any()


def test_pictures_repeat_exactly(description):
    first, second = (render(description, REST, np.linspace(0, 1, 8), WIDTH, HEIGHT) for _ in range(2))
    assert (first == second).all()


def test_moments_are_put_side_by_side(description, tmp_path):
    draw_moments(tmp_path / "body.png", description, np.zeros((3, 6)), np.zeros((3, 8)), ["a", "b", "c"])
    height, width = imread(tmp_path / "body.png").shape[:2]
    assert width > 1.5 * height
    with pytest.raises(ValueError):
        draw_moments(tmp_path / "body.png", description, np.zeros((2, 6)), np.zeros((2, 8)), ["a", "b", "c"])


def test_a_body_without_anything_to_draw_is_refused(description):
    bare = description.model_copy(
        update={"muscles": (), "links": tuple(link.model_copy(update={"shapes": ()}) for link in description.links)}
    )
    with pytest.raises(ValueError, match="forelimb: there is nothing to draw"):
        render(bare, REST, np.zeros(0), WIDTH, HEIGHT)
