# SPDX-License-Identifier: GPL-2.0-or-later
"""What the ranks of a run have built, on disk before its first step: results can be made from files alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cosim.engines.built import BuiltBrain, BuiltPopulation
from cosim.record.disk import write_text


@dataclass(frozen=True)
class RankReport:
    """Of a rank: wall time in s of the phases outside of steps, largest memory so far."""

    wall_s: dict[str, float]
    peak_memory_mb: float


@dataclass(frozen=True)
class BuiltRun:
    """What stands before the first step: the brain on all brain ranks, and reports of all ranks."""

    brain: Sequence[BuiltBrain]
    reports: Sequence[RankReport]


def write(path: Path, built: BuiltRun) -> None:
    """Body rank. The populations, which all ranks know alike, are in ``populations.json``."""
    content = {
        "brain": [asdict(replace(each, populations=())) for each in built.brain],
        "reports": [asdict(each) for each in built.reports],
    }
    write_text(path, json.dumps(content, indent=1) + "\n")


def read(path: Path, populations: Sequence[BuiltPopulation]) -> BuiltRun:
    """The same, with the populations of ``populations.json``."""
    content = json.loads(path.read_text())
    texts = [{name: tuple(rank.get(name, ())) for name in ("notes", "left_to_nestlink")} for rank in content["brain"]]
    ranks = [
        rank | text | {"populations": tuple(populations)} for rank, text in zip(content["brain"], texts, strict=True)
    ]
    return BuiltRun([BuiltBrain(**rank) for rank in ranks], [RankReport(**each) for each in content["reports"]])
