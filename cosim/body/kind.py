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
