# SPDX-License-Identifier: GPL-2.0-or-later
"""How a device is connected with its neurons: NEST's connection rules, and synapses with short-term plasticity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from cosim.table import Table


class Connected(Table):
    """The keys of a device that say with which neurons it is connected.

    ``all_to_all``: with all of its neurons. ``one_to_one``: there is a node of its own for each neuron.
    ``fixed_indegree``: each node that gets connections gets ``indegree`` of them, drawn at random with replacement.
    """

    connector: Literal["all_to_all", "one_to_one", "fixed_indegree"] = "all_to_all"
    indegree: int | None = Field(None, ge=1, description="with connector = fixed_indegree, and only then")

    @property
    def rule(self) -> dict[str, Any]:
        """NEST's connection rule."""
        more = {"indegree": self.indegree} if self.indegree else {}
        return {"rule": self.connector, **more}

    def problems_of_links(self) -> Iterator[str]:
        """What does not fit together."""
        if (self.connector == "fixed_indegree") != (self.indegree is not None):
            missing = self.indegree is None
            allowed = "must be given with" if missing else "must not be there without"
            what = "indegree" if missing else f"indegree = {self.indegree}"
            yield f'{what}: {allowed} connector = "fixed_indegree"'


class Tsodyks(Table):
    """A synapse whose strength follows the spikes that came before: Tsodyks, Uziel and Markram, J. Neurosci. 20, 2000.

    It is NEST's ``tsodyks_synapse``; ``tau_psc_ms`` should be the time constant of the neurons' synaptic current.
    """

    U: float = Field(0.5, ge=0, le=1, description="share of the resources that a spike uses")
    tau_rec_ms: float = Field(800.0, gt=0, description="in which resources come back")
    tau_fac_ms: float = Field(0.0, ge=0, description="in which facilitation goes; 0 for none")
    tau_psc_ms: float = Field(3.0, gt=0, description="of the neurons' synaptic current")

    @property
    def parameters(self) -> dict[str, Any]:
        """NEST's synapse model and its parameters."""
        times = {"tau_rec": self.tau_rec_ms, "tau_fac": self.tau_fac_ms, "tau_psc": self.tau_psc_ms}
        return {"synapse_model": "tsodyks_synapse", "U": self.U, "u": 0.0, "x": 1.0, **times}
