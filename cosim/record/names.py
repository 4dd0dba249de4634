# SPDX-License-Identifier: GPL-2.0-or-later
"""What the datasets in a shard are called."""

PROFILE = "profile"
SPIKE_TIMES, SPIKE_IDS, SPIKES_DONE = "spikes/timestamps", "spikes/node_ids", "spikes/done"
WEIGHTS = "weights"
MEMORY = "memory_mb"
RETURNED, FIRST_STEP = "transfer", "first_step"
