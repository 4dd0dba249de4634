# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim render``: films of real runs, read back from their files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec
from matplotlib.colors import rgb_to_hsv
from PIL import Image, ImageSequence

from cosim.body import kinds
from cosim.cli import main
from cosim.results.run_data import RunData
from cosim.show.bodies.kinds import pictures_of
from cosim.show.film import Size, write

FORELIMB, HUSKY = REPOSITORY / "models/forelimb", REPOSITORY / "models/husky"
FORELIMB_MS, HUSKY_MS = 200, 1600
STOP = f"""

@transfer_function
def stop(t_ms):
    if t_ms >= {HUSKY_MS}:
        raise RuntimeError("enough")
"""


def run(out: Path, experiment: str | Path, *settings: object) -> Path:
    arguments = [str(REPOSITORY / "run.py"), str(experiment), "--out", str(out), *map(str, settings)]
    command = [find_mpiexec(), "-n", "2", sys.executable, *arguments]
    subprocess.run(command, cwd=out.parent, env=clean_environment(), timeout=120, capture_output=True)
    assert (out / "summary.json").is_file()
    return out


@pytest.fixture(scope="module")
def forelimb(tmp_path_factory) -> Path:
    """A run whose muscles first pull with their base activation, and then with what a small brain says."""
    small = ("--set", "brain.patch_mm=0.1", "--steps", FORELIMB_MS // 20)
    out = tmp_path_factory.mktemp("forelimb") / "run"
    return run(out, "mouse_m1", *small, "--set", "protocol.base_until_ms=100")


@pytest.fixture(scope="module")
def husky(tmp_path_factory) -> Path:
    """A run of Husky that was to last for 12 s, but failed before."""
    folder = tmp_path_factory.mktemp("husky") / "braitenberg"
    shutil.copytree(REPOSITORY / "models/braitenberg", folder)
    (folder / "transfer.py").write_text((folder / "transfer.py").read_text() + STOP)
    return run(folder.parent / "run", folder)


@pytest.fixture
def ours(forelimb, tmp_path) -> Path:
    """A copy of the run of the forelimb, to be changed."""
    return shutil.copytree(forelimb, tmp_path / "ours")


def read_gif(file: Path) -> tuple[np.ndarray, list[int]]:
    """Frames (n, height, width, 3) and how many ms each is shown."""
    with Image.open(file) as film:
        shown = ((frame.convert("RGB"), frame.info["duration"]) for frame in ImageSequence.Iterator(film))
        frames, durations_ms = zip(*shown, strict=True)
    return np.array([np.asarray(frame, dtype=int) for frame in frames]), list(durations_ms)


class MadeUp(RunData):
    """The series of a run that never was."""

    def __init__(self, body: dict[str, np.ndarray], columns: dict[str, list[str]] = {}) -> None:
        self.body, self._columns = body, columns

    def columns(self, series: str) -> list[str]:
        return self._columns[series]


def film_of_limb(angles, activations, width=240, height=320, scenery=True) -> np.ndarray:
    """Pictures (n, height, width, 3) of the forelimb at angles (n, joints) and activations (n, muscles)."""
    description = kinds.load(FORELIMB / "body.toml")
    columns = {
        "joint_angle_rad": [joint.name for joint in description.revolute_joints],
        "muscle_activation": [muscle.name for muscle in description.muscles],
    }
    if not scenery:
        mouse = description.link("Mouse").model_copy(update={"shapes": ()})
        links = tuple(mouse if link.name == "Mouse" else link for link in description.links)
        description = description.model_copy(update={"links": links})
    body = {"joint_angle_rad": np.array(angles), "muscle_activation": np.array(activations)}
    film = pictures_of(description).film(description, MadeUp(body, columns), np.arange(len(angles)), width, height)
    return np.array(list(film.pictures), dtype=int)


def film_of_husky(position_m, heading_rad, light_m, brightness) -> np.ndarray:
    """Pictures (n, 240, 320, 3)."""
    n = len(position_m)
    body = {
        "time_ms": 4.0 * np.arange(1, n + 1),
        "position_m": np.array(position_m),
        "heading_rad": np.reshape(heading_rad, (n, 1)),
        "wheel_speed_rad_s": np.zeros((n, 2)),
        "light_position_m": np.array(light_m),
        "light_brightness": np.reshape(brightness, (n, 1)),
    }
    husky = kinds.load(HUSKY / "body.toml")
    film = pictures_of(husky).film(husky, MadeUp(body), np.arange(n), 320, 240)
    return np.array(list(film.pictures), dtype=int)


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """First and last row, first and last column in which ``mask`` is true anywhere."""
    rows, columns = np.nonzero(mask)
    return rows.min(), rows.max(), columns.min(), columns.max()


# Files


def test_a_gif_has_the_frames_the_size_and_the_length_that_were_asked_for(forelimb, tmp_path, capsys):
    file = tmp_path / "limb.gif"
    options = ["--from", "40", "--to", "200", "--fps", "30", "--speed", "0.3", "--size", "320x240"]
    assert main(["render", str(forelimb), *options, "--out", str(file)]) == 0
    frames, durations_ms = read_gif(file)
    assert frames.shape == (16, 240, 320, 3)  # 160 ms, 10 ms apart
    assert sum(durations_ms) == pytest.approx(16 / 30 * 1000, abs=10)  # a GIF counts in 10 ms
    assert set(durations_ms) == {30, 40}
    assert f"{file}: 16 frames, 0.533" in capsys.readouterr().out
    picture, text = frames[:, :225], frames[:, 225:]
    assert all((one != next_).any() for one, next_ in zip(picture, picture[1:]))
    assert all((one != next_).any() for one, next_ in zip(text, text[1:]))  # the time
    assert list(tmp_path.iterdir()) == [file]


def test_an_mp4_is_what_is_made_if_nothing_is_asked_for(forelimb):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    assert main(["render", str(forelimb), "--to", "100"]) == 0
    film = ffmpeg.read_frames(str(forelimb / "film.mp4"))
    properties = next(film)
    frames = np.array([np.frombuffer(frame, np.uint8).reshape(480, 640, 3) for frame in film], dtype=int)
    # A quarter of real time and 25 frames per second: 100 ms in 0.4 s.
    assert (properties["size"], properties["fps"], len(frames)) == ((640, 480), 25.0, 10)
    assert properties["duration"] == pytest.approx(0.4)
    assert all(np.abs(one - next_).max() > 60 for one, next_ in zip(frames, frames[1:]))


def test_the_film_ends_with_the_end_of_the_window(forelimb, tmp_path):
    options = ["--from", "100", "--to", "150", "--speed", "1", "--fps", "50", "--size", "320x240"]
    assert main(["render", str(forelimb), *options, "--out", str(tmp_path / "f.gif")]) == 0
    frames, _ = read_gif(tmp_path / "f.gif")
    rows = np.array([129, 149])  # rows are 1 ms apart, the first is at 1 ms
    data, description = RunData(forelimb), kinds.load(FORELIMB / "body.toml")
    expected = np.array(list(pictures_of(description).film(description, data, rows, 320, 225).pictures), dtype=int)
    error = np.abs(frames[:, np.newaxis, :225] - expected).mean(axis=(2, 3, 4))
    assert error.shape == (2, 2)
    assert 3 * error.diagonal().max() < error[[0, 1], [1, 0]].min()


def test_without_imageio_ffmpeg_films_are_gifs(forelimb, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    short = ["render", str(forelimb), "--to", "20", "--size", "160x160"]
    assert main(short) == 0
    said = capsys.readouterr().err
    assert "the film will be a GIF" in said and "pip install 'cosim[video]'" in said
    assert len(read_gif(forelimb / "film.gif")[0]) == 2
    assert main([*short, "--out", str(tmp_path / "f.mp4")]) == 2
    assert "pip install 'cosim[video]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_stopped_run_is_shown_as_far_as_it_went(husky, tmp_path):
    options = ["--speed", "4", "--fps", "10", "--size", "320x240", "--out", str(tmp_path / "f.gif")]
    assert main(["render", str(husky), *options]) == 0
    frames, durations_ms = read_gif(tmp_path / "f.gif")
    assert durations_ms == [100] * 4  # 1.6 s, four times as fast
    red, green, blue = np.moveaxis(frames, -1, 0)
    yellow = (red > 150) & (green > 150) & (blue < 80)
    left = [extent(mask[:, :200])[2] for mask in yellow]  # the light is on the right
    assert np.all(np.diff(left) > 3)


def test_a_film_that_fails_leaves_what_was_there(tmp_path):
    def broken():
        yield np.zeros((160, 160, 3), np.uint8)
        raise FloatingPointError("no more")

    for file in (tmp_path / "f.gif", tmp_path / "f.mp4"):
        if file.suffix == ".mp4":
            pytest.importorskip("imageio_ffmpeg")
        file.write_text("earlier")
        with pytest.raises(FloatingPointError):
            write(file, broken(), 2, 25.0, Size(160, 160))
        assert list(tmp_path.iterdir()) == [file] and file.read_text() == "earlier"
        file.unlink()


def test_the_body_is_that_of_the_run(ours, capsys):
    short = ["render", str(ours), "--to", "20", "--size", "160x160", "--out", str(ours / "f.gif")]
    assert kinds.load(ours / "body.toml") == kinds.load(FORELIMB / "body.toml")
    assert main(short) == 0
    (ours / "body.toml").write_text((HUSKY / "body.toml").read_text())
    assert main(short) == 2
    assert "run.h5: no position_m, " in capsys.readouterr().err
    (ours / "body.toml").unlink()
    assert main(short) == 2
    assert "no body.toml, which says what the body is like" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "said"), [
    (["--from", "150", "--to", "50"], "the window from 150 to 50 ms must lie within 0 to 200 ms"),
    (["--to", "210"], "the window from 0 to 210 ms must lie within 0 to 200 ms"),
    (["--from", "nan"], "the window from nan to 200 ms must lie"),
    (["--fps", "0"], "--fps 0: must be a number greater than 0"),
    (["--speed", "-1"], "--speed -1: must be a number greater than 0"),
    (["--size", "321x240"], "--size 321x240: must be WxH, such as 640x480, two even numbers from 160"),
    (["--size", "wide"], "--size wide: must be WxH"),
    (["--out", "f.avi"], "--out f.avi: must end in .mp4 or .gif"),
    (["--out", "nowhere/f.gif"], "--out nowhere/f.gif: there is no folder nowhere"),
    (["--out", "f.gif", "--fps", "60"], "--fps 60: a GIF has at most 50 frames per second"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_with_what_is_allowed(forelimb, options, said, capsys):
    assert main(["render", str(forelimb), *options]) == 2
    assert said in capsys.readouterr().err


def test_folders_without_anything_to_show_are_refused(ours, tmp_path, capsys):
    def refused(folder: Path) -> str:
        assert main(["render", str(folder)]) == 2
        return capsys.readouterr().err

    assert "no summary.json: must be the results folder of a run that has ended" in refused(tmp_path)
    config = (ours / "config.toml").read_text()
    (ours / "config.toml").write_text(config.replace("[body]", "[nobody]"))
    assert "this run has no body" in refused(ours)
    (ours / "config.toml").write_text(config)
    summary = (ours / "summary.json").read_text()
    (ours / "summary.json").write_text(summary.replace(f'"steps": {FORELIMB_MS // 20}', '"steps": 0'))
    assert "ended before its first step" in refused(ours)
    (ours / "summary.json").unlink()
    assert "no summary.json" in refused(ours)


# Pictures


def test_the_colour_of_a_muscle_follows_its_activation():
    levels = np.array([0.0, 0.5, 1.0])
    activations = np.zeros((3, 8))
    activations[:, 2] = levels  # Radius1
    frames = film_of_limb(np.zeros((3, 6)), activations)
    changed = (frames[0] != frames[2]).any(axis=-1)
    assert 50 < changed.sum() < 0.02 * changed.size  # one of eight muscles
    blue, purple, red = (np.median(frame[changed], axis=0) for frame in frames)
    assert blue[2] > 2 * blue[0] and red[0] > 2 * red[2]
    assert purple == pytest.approx((blue + red) / 2, abs=12)


def test_all_moving_parts_are_in_the_film_and_fill_it():
    swing = np.linspace(-1.0, 1.0, 5)
    angles = np.zeros((5, 6))
    for joint, reach_rad in ((1, 1.2), (2, 1.0), (5, 1.0)):
        angles[:, joint] = reach_rad * swing
    for width, height in ((320, 240), (160, 320)):
        frames = film_of_limb(angles, np.zeros((5, 8)), width, height, scenery=False)
        top, bottom, left, right = extent((frames < 250).any(axis=(0, 3)))
        assert top > 0 and left > 0 and bottom < height - 1 and right < width - 1
        assert max((bottom - top) / height, (right - left) / width) > 0.85


def test_a_limb_is_hidden_behind_the_body():
    """Scenery is drawn once, but what moves still passes behind it."""
    angles, activations = np.zeros((1, 6)), np.zeros((1, 8))
    with_animal, alone = (film_of_limb(angles, activations, scenery=shown)[0] for shown in (True, False))
    limb = (alone < 250).any(axis=-1)
    grey = rgb_to_hsv(with_animal / 255)[..., 1] < 0.1
    assert (limb & grey).sum() > 20  # parts of the shoulder lie in the trunk
    assert ((alone == with_animal).all(axis=-1) & limb).sum() > 0.8 * limb.sum()


def test_vehicle_and_light_are_in_the_film_wherever_they_go():
    corners_m = 4.4 * np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    light_m = np.array([[0, 0, 0.8], [4, 4, 0.8], [-4, -4, 0.8], [0, 0, 0.8]])
    frames = film_of_husky(corners_m, [0.0, 1.5, 3.0, -1.5], light_m, np.ones(4))
    red, green, blue = np.moveaxis(frames, -1, 0)
    yellow = (red > 130) & (green > 110) & (blue < 90)
    assert yellow.sum(axis=(1, 2)).min() > 30
    boxes = np.array([extent(mask) for mask in yellow])
    assert boxes[:, [0, 2]].min() > 3 and boxes[:, 1].max() < 236 and boxes[:, 3].max() < 316
    assert max(np.ptp(boxes[:, :2]) / 240, np.ptp(boxes[:, 2:]) / 320) > 0.8


def test_the_light_is_as_bright_as_it_is():
    stay, light_m = np.zeros((3, 3)), np.tile([1.5, 0.0, 0.8], (3, 1))
    frames = film_of_husky(stay, np.zeros(3), light_m, [2.0, 1.0, 0.0])
    changed = (frames[0] != frames[2]).any(axis=-1)
    assert 20 < changed.sum() < 0.02 * changed.size
    bright, half, dark = (frame[changed].mean() for frame in frames)
    assert bright > 1.3 * half > 1.3 * 1.3 * dark
