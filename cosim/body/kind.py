# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kind of bodies is: a description, settings, ports, and a body that moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydantic import BaseModel

from cosim.body.parts import Part
from cosim.body.touch import NO_TORQUE


class Body(Protocol):
    """A body in a closed loop; lives on the body rank."""

    @property
    def ports(self) -> Mapping[str, object]:
        """What transfer functions find, by name."""

    @property
    def series(self) -> Mapping[str, np.ndarray]:
        """Samples after every physics step of the last coupling step, (n_substeps, n) by name.

        A name ends with its unit, as ``joint_speed_rad_s`` does (`cosim.body.quantities`); mere numbers have none.
        The arrays are used again in the next one.
        """

    @property
    def columns(self) -> Mapping[str, Sequence[str]]:
        """Names of the n columns of each series."""

    def advance(self) -> None:
        """Move on by one coupling step under the commands in the ports.

        Raises ValueError where a command is not finite, FloatingPointError where the body diverges.
        """

    def reset(self) -> None:
        """Go back to where the body was when it was made; what follows equals a new body's run, byte for byte.

        Commands in the ports go back too, hands let go. Ports stay valid.
        """

    @property
    def parts(self) -> Sequence[str]:
        """Names of the links and objects that can be touched."""

    def push(
        self, part: str, force_n: Sequence[float], duration_ms: float, torque_nm: Sequence[float] = NO_TORQUE
    ) -> None:
        """Push a part from the next physics step on, for ``duration_ms``: see `cosim.body.touch.Touchable`."""

    def hold(self, part: str, position_m: Sequence[float] | None) -> None:
        """Grab a part and pull it to a place, or let it go: see `cosim.body.touch.Touchable`."""

    def place(self, part: str, position_m: Sequence[float], quaternion: Sequence[float] | None = None) -> None:
        """Put a part somewhere, at rest, turned by ``quaternion`` (x, y, z, w) or as it is turned now.

        ValueError in one line, and nothing changes, where that is not possible.
        """

    def set_joints(self, angle_rad: Mapping[str, float]) -> None:
        """Put the joints that are named at these angles, all at rest; others only move where a loop demands it.

        ValueError in one line, and nothing changes, where that is not possible.
        """

    def close(self) -> None:
        """Release what the body holds."""


class Description(Part):
    """What is known of a body before it is there: the tables of its file, pure data. A kind adds its own."""

    kind: str

    def problems(self) -> list[str]:
        """What is wrong with how the parts refer to each other; empty when nothing is."""
        return []


class NoSettings(BaseModel):
    """For bodies of which an experiment has nothing to choose in its ``[body]``."""


def nothing_included(_path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """For body files that say everything themselves."""
    return content


@dataclass(frozen=True)
class Kind:
    """What cosim must know of a kind of bodies.

    Attributes:
        description: the tables of a body file.
        make_ports: of a description, ports of the same names and shapes as those of the body; they stand alone, for
            checks.
        make_body: of a description, the physics step and the coupling step in ms and the settings by name, the body;
            ValueError where the coupling step is no multiple of the physics step. Imports the physics engine.
        settings: the keys that ``[body]`` of an experiment may have besides ``model``.
        include: of a body file's path and content, the content with that of the files which it names.
    """

    description: type[Description]
    make_ports: Callable[[Any], Mapping[str, object]]
    make_body: Callable[..., Body]
    settings: type[BaseModel] = NoSettings
    include: Callable[[Path, dict[str, Any]], dict[str, Any]] = nothing_included
