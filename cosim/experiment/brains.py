# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of brains: a model's network tables, or any PyNEST script. This is the one place that tells kinds apart.

Pure data, known on the body rank before NEST starts; nothing here imports NEST.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from cosim.errors import ConfigurationError
from cosim.experiment.usercode import function, table_class
from cosim.network.network import Network
from cosim.table import Table


class NoParameters(Table):
    """For brains that have nothing to set."""


@dataclass(frozen=True)
class TableBrain:
    """The ``network.py`` of a model folder.

    It has ``Parameters``, the keys that ``[brain]`` may have besides those of every brain, and
    ``network(**parameters)``, which returns a ``Network``. If a population stands for a part of a larger one,
    ``full_network(**parameters)`` is the network with all of it: sinks on such a population are scaled. A
    ``network`` with a parameter ``resolution_ms`` gets that of the clock.
    """

    module: ModuleType

    @property
    def path(self) -> Path:
        assert self.module.__file__ is not None  # it was loaded from a file
        return Path(self.module.__file__)

    @property
    def Parameters(self) -> type[Table]:
        """The keys of ``[brain]`` that belong to this model."""
        return table_class(self.module, "Parameters", NoParameters)

    def check(self) -> None:
        """Check that the functions are there and take the parameters. Raises ConfigurationError."""
        parameters = [*self.Parameters.model_fields]
        optional = ["resolution_ms"] if self._wants_resolution else []
        if function(self.module, "network", [*parameters, *optional]) is None:
            raise ConfigurationError(f"{self.path}: has no function network({', '.join(parameters)})")
        function(self.module, "full_network", parameters)

    @property
    def _wants_resolution(self) -> bool:
        network = getattr(self.module, "network", None)
        return callable(network) and "resolution_ms" in signature(network).parameters

    def network(self, parameters: Mapping[str, Any], resolution_ms: float) -> Network:
        """The checked tables. Raises ValueError for tables that do not fit together."""
        clock = {"resolution_ms": resolution_ms} if self._wants_resolution else {}
        network = self.module.network(**parameters, **clock)
        if not isinstance(network, Network):
            allowed = "must be a cosim.network.Network"
            raise ValueError(f"{self.path}: network returned {network!r}, {allowed}")
        network.check(resolution_ms)
        return network

    def full_sizes(self, parameters: Mapping[str, Any]) -> dict[str, int]:
        """Neurons of each population of the full network; empty where nothing is known of one."""
        full = getattr(self.module, "full_network", None)
        return full(**parameters).sizes if full else {}


@dataclass(frozen=True)
class ScriptBrain:
    """A PyNEST script; what it holds is known when it has run (see ``cosim.engines.nest.script``)."""

    path: Path
    Parameters: ClassVar[type[Table]] = NoParameters

    def full_sizes(self, _parameters: Mapping[str, Any]) -> dict[str, int]:
        """Nothing is known of a larger network."""
        return {}
