# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim render``: a film of what the body did in a run, from what was recorded; nothing is simulated."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.colors import Colormap
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import track

from cosim.body import kinds
from cosim.body.kind import Description
from cosim.errors import ConfigurationError
from cosim.results.run_data import RunData, load_ended
from cosim.show.bodies.kinds import pictures_of
from cosim.show.bodies.pictures import Film, Pictures

SIZES_PX = (160, 4096)
# Of a GIF: its unit of time is 10 ms, and programs that show it slow down what is shown for less than 20 ms.
GIF_MAX_FPS, GIF_UNIT_S = 50.0, 0.01
MP4_QUALITY = 8  # of 10, as imageio-ffmpeg counts
INSTALL = "pip install 'cosim[video]'"
STRIP_SHARE = 1 / 16  # of the film's height, below the picture
INK, PAPER = (40, 40, 40), (255, 255, 255)


class Size(NamedTuple):
    """Of a film, in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Wish:
    """How a film shall be; None is for what follows from run and body. Times are those of the simulation."""

    start_ms: float | None = None
    end_ms: float | None = None
    fps: float = 25.0
    speed: float | None = None
    size: str = "640x480"


def main(folder: str, out: str | None, wish: Wish) -> int:
    """Make the film of the run in ``folder`` and say where it is, ``film.mp4`` in the same folder by default.

    Raises:
        ConfigurationError: the folder holds no finished run with a body, or the wish cannot be fulfilled.
    """
    size = _size(wish.size)
    _check_positive("--fps", wish.fps)
    file = _file(Path(folder), out, wish.fps)
    run = _run(Path(folder))
    description = _description(run)
    shown = _pictures(run, description)
    speed = shown.film_speed if wish.speed is None else wish.speed
    _check_positive("--speed", speed)
    rows = _rows(run, wish, 1000 * speed / wish.fps)
    strip = Strip(size, speed)
    film = _film(run, shown, description, rows, size.width, size.height - strip.height)
    write(file, frames(film, run.body["time_ms"][rows], strip), len(rows), wish.fps, size)
    print(f"{file}: {len(rows)} frames, {len(rows) / wish.fps:g} s")
    return 0


def frames(film: Film, times_ms: np.ndarray, strip: Strip) -> Generator[np.ndarray]:
    """The pictures of ``film``, (height, width, 3) uint8, each with a strip of text below."""
    with closing(film.pictures) as pictures:
        for picture, time_ms in zip(pictures, times_ms, strict=True):
            yield np.concatenate([picture, strip.draw(time_ms, film.colours)])


class Strip:
    """What stands below each picture: how fast the film runs, the simulated time, and what colours mean."""

    def __init__(self, size: Size, speed: float) -> None:
        self.height = round(STRIP_SHARE * size.height)
        self._width, self._speed = size.width, speed
        letters = min(0.55 * self.height, size.width / 42)  # the longest line has room
        fonts = Path(matplotlib.get_data_path()) / "fonts/ttf"
        self._font = ImageFont.truetype(str(fonts / "DejaVuSans.ttf"), letters)
        self._em = letters

    def draw(self, time_ms: float, colours: tuple[str, Colormap] | None) -> np.ndarray:
        """The strip (height, width, 3) uint8 at a simulated time."""
        strip = Image.new("RGB", (self._width, self.height), PAPER)
        shown = np.format_float_positional(time_ms, precision=3, trim="-")
        self._write(strip, f"{self._speed:g} x real time   {shown} ms", self._em, "lm")
        if colours:
            self._draw_scale(strip, *colours)
        return np.asarray(strip)

    def _draw_scale(self, strip: Image.Image, label: str, colormap: Colormap) -> None:
        """From right to left: 1, the colours, 0, the label."""
        length, thick = round(5 * self._em), round(self._em)
        left, top = self._width - length - round(2 * self._em), (self.height - thick) // 2
        bar = np.tile(colormap(np.linspace(0.0, 1.0, length), bytes=True)[:, :3], (thick, 1, 1))
        strip.paste(Image.fromarray(bar), (left, top))
        self._write(strip, "1", self._width - 0.6 * self._em, "rm")
        self._write(strip, f"{label}  0", left - 0.5 * self._em, "rm")

    def _write(self, strip: Image.Image, text: str, x: float, anchor: str) -> None:
        ImageDraw.Draw(strip).text((x, self.height / 2), text, INK, self._font, anchor)


# What is asked for


def _size(text: str) -> Size:
    low, high = SIZES_PX
    parts = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    size = Size(*map(int, parts.groups())) if parts else None
    if size is None or not all(low <= side <= high and side % 2 == 0 for side in size):
        allowed = f"two even numbers from {low} to {high}"
        raise ConfigurationError(f"--size {text}: must be WxH, such as 640x480, {allowed}")
    return size


def _check_positive(option: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigurationError(f"{option} {value:g}: must be a number greater than 0")


def _file(folder: Path, out: str | None, fps: float) -> Path:
    """Where the film goes; without imageio-ffmpeg a film of no chosen name is a GIF."""
    can_mp4 = find_spec("imageio_ffmpeg") is not None
    file = Path(out) if out else folder / ("film.mp4" if can_mp4 else "film.gif")
    if file.suffix not in WRITERS:
        raise ConfigurationError(f"--out {file}: must end in {' or '.join(WRITERS)}")
    if out and not file.parent.is_dir():
        raise ConfigurationError(f"--out {file}: there is no folder {file.parent}")
    if file.suffix == ".mp4" and not can_mp4:
        raise ConfigurationError(f"--out {file}: an MP4 needs imageio-ffmpeg ({INSTALL}); a .gif does not")
    if file.suffix == ".gif" and fps > GIF_MAX_FPS:
        raise ConfigurationError(f"--fps {fps:g}: a GIF has at most {GIF_MAX_FPS:g} frames per second")
    if not (out or can_mp4):
        print(f"cosim: the film will be a GIF, as an MP4 needs imageio-ffmpeg: {INSTALL}", file=sys.stderr)
    return file


def _run(folder: Path) -> RunData:
    """The run; it may have been stopped early, but not before its first step."""
    run = load_ended(folder)
    if "body" not in run.config:
        raise ConfigurationError(f"{folder}: nothing to show, as this run has no body")
    if not run.folder.body_file.is_file():
        raise ConfigurationError(f"{folder}: no {run.folder.body_file.name}, which says what the body is like")
    if not run.summary["steps"]:
        raise ConfigurationError(f"{folder}: nothing to show, as this run ended before its first step")
    return run


def _description(run: RunData) -> Description:
    try:
        return kinds.load(run.folder.body_file)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _rows(run: RunData, wish: Wish, step_ms: float) -> np.ndarray:
    """Rows of the body's series that are shown: one every ``step_ms``, the last at the end of the window."""
    times_ms = run.body["time_ms"]
    length_ms = float(times_ms[-1])
    start_ms = 0.0 if wish.start_ms is None else wish.start_ms
    end_ms = length_ms if wish.end_ms is None else wish.end_ms
    if not 0 <= start_ms < end_ms <= length_ms:
        window = f"the window from {start_ms:g} to {end_ms:g} ms"
        raise ConfigurationError(f"{run.folder.path}: {window} must lie within 0 to {length_ms:g} ms")
    count = max(1, math.floor((end_ms - start_ms) / step_ms + 1e-6))
    shown_ms = end_ms - step_ms * np.arange(count)[::-1]
    return np.searchsorted(times_ms, shown_ms - 1e-6)


def _pictures(run: RunData, description: Description) -> Pictures:
    found = pictures_of(description)
    if found is None:
        raise ConfigurationError(f"{run.folder.body_file}: bodies of kind {description.kind!r} cannot be drawn")
    return found


def _film(run: RunData, shown: Pictures, description: Description, rows: np.ndarray, width: int, height: int) -> Film:
    try:
        return shown.film(description, run, rows, width, height)
    except ValueError as error:
        raise ConfigurationError(f"{run.folder.run_file}: {error}") from None


# Files


def write(file: Path, pictures: Generator[np.ndarray], count: int, fps: float, size: Size) -> None:
    """Write ``count`` pictures to ``file``, .mp4 or .gif; only a film that is finished gets this name.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    console = Console(stderr=True)
    shown = track(pictures, "frames", total=count, console=console, disable=not console.is_terminal)
    unfinished = file.with_name(f"{file.stem}.part{file.suffix}")
    try:
        unfinished.touch()
        with closing(pictures):
            WRITERS[file.suffix](unfinished, shown, fps, size)
        unfinished.replace(file)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be written: {error.strerror or error}") from None
    finally:
        unfinished.unlink(missing_ok=True)


def _write_mp4(file: Path, pictures: Iterable[np.ndarray], fps: float, size: Size) -> None:
    from imageio_ffmpeg import write_frames  # an optional extra

    options = {"quality": MP4_QUALITY, "macro_block_size": 2, "ffmpeg_log_level": "error"}
    with closing(write_frames(str(file), size, fps=fps, **options)) as writer:
        writer.send(None)
        for picture in pictures:
            writer.send(np.ascontiguousarray(picture))


def _write_gif(file: Path, pictures: Iterable[np.ndarray], fps: float, _size: Size) -> None:
    images = [Image.fromarray(picture).quantize(dither=Image.Dither.NONE) for picture in pictures]
    # Rounded so that the film as a whole has the right length.
    ends = np.round(np.arange(len(images) + 1) / (fps * GIF_UNIT_S))
    durations_ms = (1000 * GIF_UNIT_S * np.diff(ends)).astype(int).tolist()
    images[0].save(file, save_all=True, append_images=images[1:], duration=durations_ms, loop=0)


WRITERS: dict[str, Callable[[Path, Iterable[np.ndarray], float, Size], None]] = {
    ".mp4": _write_mp4,
    ".gif": _write_gif,
}
