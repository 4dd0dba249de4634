# SPDX-License-Identifier: GPL-2.0-or-later
"""``populations.json``: the populations of a brain as they were built, for whoever reads a results folder.

With it the spikes of a shard, which carry the engine's node ids, find their population, also before shards are merged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cosim.engines.built import BuiltPopulation
from cosim.record.disk import write_text


def write(path: Path, populations: Sequence[BuiltPopulation]) -> None:
    """Write ``populations.json``. Body rank only."""
    write_text(path, json.dumps([asdict(each) for each in populations], indent=1) + "\n")


def read(path: Path) -> list[BuiltPopulation]:
    """Read ``populations.json``; FileNotFoundError if it is not there yet."""
    return [BuiltPopulation(**each) for each in json.loads(path.read_text())]
