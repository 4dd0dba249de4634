# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of bodies, and what all of them offer. This is the one place that tells kinds apart.

A body file says its kind by ``kind``; an experiment without a body has `NoBody`. Descriptions are pure data
and need no physics engine; PyBullet is imported where a body starts and where pictures are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import tomli_w
from pydantic import BaseModel

from cosim.body import bodyfile
from cosim.body.musculoskeletal.description import Description as Musculoskeletal
from cosim.body.readers.include import include
from cosim.body.vehicle.description import VehicleDescription
from cosim.record.disk import write_text

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

    from cosim.results.run_data import RunData


class Body(Protocol):
    """A body in a closed loop; lives on the body rank.

    Attributes:
        ports: what transfer functions find, by name.
        series: samples after every physics step of the last coupling step, (n_substeps, n) by name; the
            arrays are used again in the next one.
        columns: names of the n columns of each series.
    """

    ports: Mapping[str, object]
    series: Mapping[str, np.ndarray]
    columns: Mapping[str, Sequence[str]]

    def advance(self) -> None:
        """Move on by one coupling step under the commands in the ports.

        Raises ValueError where a command is not finite, FloatingPointError where the body diverges.
        """

    def close(self) -> None:
        """Release what the body holds."""


class Film(NamedTuple):
    """What a body did, picture by picture."""

    pictures: Iterator[np.ndarray]
    """(height, width, 3) uint8 each; to be used up, or closed, as they hold a renderer."""
    colours: tuple[str, Colormap] | None
    """What goes from 0 to 1, and how it is coloured; None where colours say nothing."""


class Description(Protocol):
    """What is known of a body before it is there.

    Attributes:
        Settings: the keys that ``[body]`` of an experiment may have besides ``model``.
        film_speed: simulated time over film time at which it is well seen how the body moves.
    """

    Settings: ClassVar[type[BaseModel]]
    film_speed: ClassVar[float]

    def make_ports(self) -> dict[str, object]:
        """Ports of the same names and shapes as those of the body; they stand alone, for checks."""

    def make_body(self, physics_step_ms: float, coupling_step_ms: float, **settings: Any) -> Body:
        """The body itself; ValueError where the coupling step is no multiple of the physics step."""

    def draw(self, path: Path, run: RunData) -> None:
        """Write a picture file of what the body did in a run of at least one step."""

    def film(self, run: RunData, rows: np.ndarray, width: int, height: int) -> Film:
        """Pictures of that size at some rows of the series of a run, without any simulation.

        Raises ValueError where the series are not those of such a body.
        """


class NoSettings(BaseModel):
    """For bodies that have nothing to set."""


class NoBody:
    """Stands where a body would be, as a description and in the loop, if an experiment has none."""

    Settings: ClassVar[type[BaseModel]] = NoSettings
    film_speed: ClassVar[float] = 1.0
    ports: Mapping[str, object] = {}
    series: Mapping[str, np.ndarray] = {}
    columns: Mapping[str, Sequence[str]] = {}

    def make_ports(self) -> dict[str, object]:
        """None."""
        return {}

    def make_body(self, _physics_step_ms: float, _coupling_step_ms: float) -> NoBody:
        """Itself: there is no state."""
        return self

    def advance(self) -> None:
        """Nothing moves."""

    def close(self) -> None:
        """Nothing is held."""

    def draw(self, path: Path, run: RunData) -> None:
        """There is nothing to see, so no file is written."""

    def film(self, run: RunData, rows: np.ndarray, width: int, height: int) -> Film:
        """There is nothing to see: ValueError."""
        raise ValueError("the experiment has no body, so there is nothing to see")


KINDS = {"musculoskeletal": Musculoskeletal, "vehicle": VehicleDescription}


def load(path: Path) -> Description:
    """Read and check the body file at ``path``, of any kind, with the files that it includes.

    Raises FileNotFoundError where there is no such file, and one ValueError that lists every problem found.
    """
    content = bodyfile.read(path)
    kind = content.get("kind", "musculoskeletal")
    if kind not in [*KINDS]:  # a list, as what stands in a file need not have a hash
        raise ValueError(f"{path}: kind = {kind!r}: must be one of {', '.join(KINDS)}")
    if kind == "musculoskeletal":
        content = include(path, content)
    return bodyfile.describe(path, content, KINDS[kind])


def save(description: Description, path: Path) -> None:
    """Write ``description``, with all that its file included, as a body file at ``path`` that `load` can read."""
    if isinstance(description, BaseModel):  # an experiment without a body has nothing to write
        write_text(path, tomli_w.dumps(description.model_dump(mode="json", exclude_none=True)))
