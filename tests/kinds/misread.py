# SPDX-License-Identifier: GPL-2.0-or-later
"""A kind of sink with a mistake: the variable that it names is none of NEST's model."""

from __future__ import annotations

from typing import Literal

from spike_rate import SpikeRate

from cosim.devices.base import Reading, Site


class Misread(SpikeRate):
    """As `SpikeRate`, but for a letter."""

    kind: Literal["misread"] = "misread"

    def create(self, site: Site) -> list[Reading]:
        return [each._replace(variable="n_evnts") for each in super().create(site)]
