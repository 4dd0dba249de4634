# SPDX-License-Identifier: GPL-2.0-or-later
"""Which neurons of a population have a spike train."""

from __future__ import annotations

import numpy as np

from cosim.engines.built import BuiltPopulation


def recorded_nodes(population: BuiltPopulation, fired: np.ndarray) -> np.ndarray:
    """Ids from 0, ascending: all neurons; where only a part is recorded, those that ``fired``."""
    whole = population.recorded == population.size
    return np.arange(population.size, dtype=np.uint64) if whole else np.unique(fired)
