# SPDX-License-Identifier: GPL-2.0-or-later
"""``populations.json``: the populations of a brain as it stands in NEST, for whoever reads a results folder.

With it the spikes of a shard, which carry NEST's node ids, find their population, also before shards are merged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cosim.record.disk import write_text

if TYPE_CHECKING:
    from cosim.engines.nest.brain import BuiltPopulation
    from cosim.network.network import Network

FILE = "populations.json"


@dataclass(frozen=True)
class Population:
    """Neurons of one kind: NEST's node ids from ``first_id`` on, one after the other.

    ``recorded`` is the number of neurons whose spikes are recorded. Of a script's populations layer, cell type and
    model are not known, and empty.
    """

    name: str
    region: str
    first_id: int
    size: int
    recorded: int
    is_relay: bool = False
    layer: str = ""
    cell_type: str = ""
    neuron_model: str = ""


def describe(built: Sequence[BuiltPopulation], network: Network | None) -> list[Population]:
    """The populations of a brain that is built; ``network`` are its tables, None for a script."""
    known = network.by_name if network else {}
    return [
        Population(
            **asdict(each),
            **{name: getattr(known[each.name], name) for name in ("layer", "cell_type", "neuron_model")}
            if each.name in known
            else {},
        )
        for each in built
    ]


def write(path: Path, populations: Sequence[Population]) -> None:
    """Write ``populations.json``. Body rank only."""
    write_text(path, json.dumps([asdict(each) for each in populations], indent=1) + "\n")


def read(path: Path) -> list[Population]:
    """Read ``populations.json``; FileNotFoundError if it is not there yet."""
    return [Population(**each) for each in json.loads(path.read_text())]
