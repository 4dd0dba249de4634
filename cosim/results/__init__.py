# SPDX-License-Identifier: GPL-2.0-or-later
"""What came out of a run: numpy arrays and Neo spike trains.

import cosim.results
run = cosim.results.load("results/try")
times_ms, node_ids = run.spikes["M1_L5B_PT"]; trains = run.spiketrains("M1_L5B_PT")
"""

from cosim.results.run_data import RunData, Spikes, load

__all__ = ["RunData", "Spikes", "load"]
