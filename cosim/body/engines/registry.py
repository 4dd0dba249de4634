# SPDX-License-Identifier: GPL-2.0-or-later
"""The physics engines that can move a body with muscles: one line for each. Nothing here imports one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cosim.body.engines.engine import Engine
    from cosim.body.musculoskeletal.description import MusculoskeletalDescription


@dataclass(frozen=True)
class EngineEntry:
    """An engine that ``body.engine`` may name.

    Attributes:
        title: its name for people.
        maker: where the class is that makes an `Engine` of a body's description, "module:class".
        package: what must be installed, by the name in Python and on PyPI.
        extra: the optional extra of cosim that brings it; empty where cosim always needs it.
    """

    title: str
    maker: str
    package: str
    extra: str = ""

    @property
    def is_installed(self) -> bool:
        """Whether its package can be imported."""
        return find_spec(self.package) is not None

    @property
    def cure(self) -> str:
        """How to get it."""
        return f"pip install 'cosim[{self.extra}]'" if self.extra else f"pip install {self.package}"


ENGINES: dict[str, EngineEntry] = {
    "pybullet": EngineEntry("PyBullet", "cosim.body.engines.pybullet:PyBulletEngine", "pybullet"),
    "mujoco": EngineEntry("MuJoCo", "cosim.body.engines.mujoco:MuJoCoEngine", "mujoco", extra="mujoco"),
}
DEFAULT = "pybullet"


def check(name: str) -> None:
    """ValueError where no engine has this name, or where it is not installed, with what to do."""
    if name not in ENGINES:
        raise ValueError(f"must be {' or '.join(map(repr, ENGINES))}")
    if not ENGINES[name].is_installed:
        raise ValueError(f"{name} is not installed here: {ENGINES[name].cure}")


def start(name: str, description: MusculoskeletalDescription) -> Engine:
    """The mechanism of ``description`` in a world of its own of the engine ``name``, all joints at rest.

    Raises ValueError as `check` does.
    """
    check(name)
    return resolve_name(ENGINES[name].maker)(description)
