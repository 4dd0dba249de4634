# SPDX-License-Identifier: GPL-2.0-or-later
"""The published benchmark runs (Feldotto et al. 2022, Figures 7 to 13), to be put beside ours."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

FILE = "feldotto2022.json"


def published(experiment: str) -> dict[str, Any] | None:
    """The published runs of the network that an experiment, a name or a path, builds; None if there are none.

    Quantities have lists ``mean``, ``min`` and ``max`` over repetitions in the order of ``processes``;
    "about" says what they mean.
    """
    data = json.loads(resources.files("cosim.bench").joinpath(FILE).read_text())
    of_experiment = (each for each in data["benchmarks"].values() if each["experiment"] == Path(experiment).name)
    found = next(of_experiment, None)
    return found and found | {"source": data["source"], "about": data["about"]}
