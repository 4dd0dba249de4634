# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of brains: a model's network tables, or any PyNEST script. This is the one place that tells kinds apart.

Pure data, known on the body rank before NEST starts; nothing here imports NEST.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from pydantic import BaseModel

from cosim.brain.network import Network


@dataclass(frozen=True)
class TableBrain:
    """The ``network.py`` of a model folder.

    It has ``Parameters``, the keys that ``[brain]`` may have besides those of every brain, and ``network(**parameters)``,
    which returns a ``Network``. If a population stands for a part of a larger one, ``full_network(**parameters)`` is the
    network with all of it: sinks on such a population are scaled.
    """

    module: ModuleType

    @property
    def Parameters(self) -> type[BaseModel]:
        """The keys of ``[brain]`` that belong to this model."""
        return self.module.Parameters

    def network(self, parameters: Mapping[str, Any], resolution_ms: float) -> Network:
        """The checked tables. Raises ValueError for tables that do not fit together."""
        network = self.module.network(**parameters)
        network.check(resolution_ms)
        return network

    def full_sizes(self, parameters: Mapping[str, Any]) -> dict[str, int]:
        """Neurons of each population of the full network; empty where nothing is known of one."""
        full = getattr(self.module, "full_network", None)
        return full(**parameters).sizes if full else {}


class NoParameters(BaseModel):
    """For brains that have nothing to set."""


@dataclass(frozen=True)
class ScriptBrain:
    """A PyNEST script; what it holds is known when it has run (see ``cosim.brain.script``)."""

    path: Path
    Parameters: ClassVar[type[BaseModel]] = NoParameters

    def full_sizes(self, _parameters: Mapping[str, Any]) -> dict[str, int]:
        """Nothing is known of a larger network."""
        return {}
