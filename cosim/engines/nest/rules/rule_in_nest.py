# SPDX-License-Identifier: GPL-2.0-or-later
"""What NEST must know of a connection rule."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from cosim.engines.nest.rules.drawing import Drawing
from cosim.network.population import Population

# The dictionary that ``nest.Connect`` takes as rule, of the imported module ``nest``.
ConnectionSpec = Callable[[ModuleType], dict[str, Any]]


def no_spec(_rule: Any, _source: Population, _target: Population) -> None:
    """Of a rule that NEST does not have."""


class RuleInNest(NamedTuple):
    """How a rule is drawn; the arguments that are ``Any`` are rules of the class that it is registered for."""

    draw: Callable[[Any, Drawing], int]
    """Draw the synapses of a projection by nestlink; returns how many of them are on this rank."""
    spec: Callable[[Any, Population, Population], ConnectionSpec | None] = no_spec
    """NEST's own rule between two populations, the reference that ``draw`` is tested with; None if there is none."""
