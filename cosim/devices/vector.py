# SPDX-License-Identifier: GPL-2.0-or-later
"""What sources have in common that have a value for each neuron of a population.

Each is one node of a model of cosim's own in NEST (``nestlink/values_by_target.cpp``): a generator of NEST for each
neuron would give the same, but takes ten times as much memory as the neurons and several times as long. Before a step
only values that have changed are set.
"""

from __future__ import annotations

from cosim.devices.base import Setting, Site, SourceTable, Way


class VectorSource(SourceTable):
    """A value for each neuron, in the order of the population."""

    def size(self, neurons: int) -> int:
        """As many as neurons."""
        return neurons

    def create(self, site: Site) -> list[Setting]:
        """One node with a connection to each neuron."""
        generator = site.nest.Create(self.model)
        self.connect(site, generator)
        ids = site.neurons.tolist()
        return [Setting(generator.global_id, self.quantity, 1, Way.BY_TARGET, len(ids), ids)]
