# SPDX-License-Identifier: GPL-2.0-or-later
"""More spike sinks than an experiment has, to see how coupling grows with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from cosim.errors import ConfigurationError
from cosim.experiment.brains import TableBrain
from cosim.experiment.config import Experiment, load
from cosim.plan import resolve_devices


def override(experiment: str, overrides: Sequence[str], number: int) -> str:
    """A ``--set`` that gives an experiment ``number`` sinks: its own and more on single neurons.

    Raises:
        ConfigurationError: the brain is a script, or there are more sinks already.
    """
    loaded = load(experiment, overrides)
    if not isinstance(loaded.brain, TableBrain):
        raise ConfigurationError(f"--sinks {number}: the brain of {experiment} is a script; must have network tables")
    sizes = loaded.network().sizes
    present = len(resolve_devices(loaded, sizes).sinks)
    most = present + sum(sizes.values())
    if not present <= number <= most or not loaded.config.sinks:
        raise ConfigurationError(
            f"--sinks {number}: must be {present}, those of {experiment}, to {most}; it must have one"
        )
    own = [table.model_dump(exclude_none=True) for table in loaded.config.sinks]
    return f"sinks={_toml([*own, *_more(loaded, sizes, number - present)])}"


def _more(loaded: Experiment, sizes: dict[str, int], number: int) -> list[dict[str, object]]:
    """Sinks on single neurons, spread over populations; all else as of the first sink."""
    places = _neurons(sizes)
    like = loaded.config.sinks[0].model_dump(exclude_none=True)
    own = ({"populations": place, "name": f"sink_{index}"} for index, place in enumerate(islice(places, number)))
    return [like | each for each in own]


def _neurons(sizes: dict[str, int]) -> Iterator[str]:
    """The first neuron of every population, then the second of each that has one, and so on."""
    for neuron in range(max(sizes.values())):
        yield from (f"{name}[{neuron}]" for name, size in sizes.items() if neuron < size)


def _toml(tables: list[dict[str, object]]) -> str:
    """An inline array of tables with text and numbers."""
    values = (", ".join(f"{key} = {value!r}" for key, value in table.items()) for table in tables)
    return f"[{', '.join(f'{{{each}}}' for each in values)}]"
