# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of sources and sinks: one line for each, the file and the class that says everything of it."""

from __future__ import annotations

from collections.abc import Iterable
from pkgutil import resolve_name
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from cosim.devices.base import DeviceTable

SOURCES = {
    "poisson": "cosim.devices.poisson:PoissonSource",
    "inhomogeneous_poisson": "cosim.devices.inhomogeneous_poisson:InhomogeneousPoissonSource",
    "rate_vector": "cosim.devices.rate_vector:RateVector",
    "fixed_frequency": "cosim.devices.fixed_frequency:FixedFrequencySource",
    "dc": "cosim.devices.dc:DcSource",
    "ac": "cosim.devices.ac:AcSource",
    "noise": "cosim.devices.noise:NoiseSource",
    "current_vector": "cosim.devices.current_vector:CurrentVector",
    "spike_injector": "cosim.devices.spike_injector:SpikeInjector",
}
SINKS = {
    "leaky_integrator_alpha": "cosim.devices.leaky_integrator_alpha:LeakyIntegratorAlpha",
    "leaky_integrator_exp": "cosim.devices.leaky_integrator_exp:LeakyIntegratorExp",
    "recorded_variables": "cosim.devices.recorded_variables:RecordedVariables",
    "weights": "cosim.devices.weights:ProjectionWeights",
    "population_rate": "cosim.devices.population_rate:PopulationRate",
    "spike_count": "cosim.devices.spike_count:SpikeCount",
    "spikes": "cosim.devices.spikes:SpikesSink",
}

# The kind of a table that does not say it.
DEFAULTS = {"sources": "poisson", "sinks": "leaky_integrator_alpha"}


def kinds(section: str) -> dict[str, type[DeviceTable]]:
    """All kinds of ``sources`` or ``sinks``, by name."""
    registered = {"sources": SOURCES, "sinks": SINKS}[section]
    return {name: resolve_name(place) for name, place in registered.items()}


def keys(section: str, table: Any) -> Iterable[str]:
    """The keys that a table of ``[[sources]]`` or ``[[sinks]]`` may have, as far as its kind is known."""
    kind = kinds(section).get(kind_of(section, table) or "")
    return kind.model_fields if kind else ("kind",)


def kind_of(section: str, table: Any) -> str | None:
    """The kind that a table, as it was read or checked, says it is; None for what is no name."""
    default = DEFAULTS[section]
    kind = table.get("kind", default) if isinstance(table, dict) else getattr(table, "kind", default)
    return kind if isinstance(kind, str) else None


class OfAnyKind:
    """Annotates `SourceTable` or `SinkTable` in a pydantic model: a table is checked as one of its own kind."""

    def __init__(self, section: str) -> None:
        self._section = section

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {name: handler.generate_schema(table) for name, table in kinds(self._section).items()}
        return core_schema.tagged_union_schema(choices, lambda table: kind_of(self._section, table))


ANY_SOURCE, ANY_SINK = OfAnyKind("sources"), OfAnyKind("sinks")
