# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be seen of a kind of bodies: a picture of a run, and a film."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.colors import Colormap

from cosim.results.run_data import RunData


class Film(NamedTuple):
    """What a body did, picture by picture."""

    pictures: Generator[np.ndarray]
    """(height, width, 3) uint8 each; to be used up, or closed, as they hold a renderer."""
    colours: tuple[str, Colormap] | None
    """What goes from 0 to 1, and how it is coloured; None where colours say nothing."""


class Pictures(NamedTuple):
    """How a kind of bodies is drawn; the first argument that is ``Any`` is a description of this kind."""

    draw_run: Callable[[Path, Any, RunData], None]
    """Write a picture file of what the body did in a run of at least one step."""
    film: Callable[[Any, RunData, np.ndarray, int, int], Film]
    """Pictures of some width and height at some rows of the series of a run, without any simulation.

    Raises ValueError where the series are not those of such a body.
    """
    film_speed: float
    """Simulated time over film time at which it is well seen how the body moves."""
