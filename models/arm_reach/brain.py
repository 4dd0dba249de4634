# SPDX-License-Identifier: GPL-2.0-or-later
"""A piece of spinal cord: four pools of motor neurons in two pairs of antagonists.

A plain PyNEST script: each variable that holds neurons is a population, called as the variable is.
"""

import nest

# NEST's default integrate-and-fire neuron. They start at different potentials, or all would fire at once.
scattered = {"V_m": nest.random.uniform(-70.0, -55.0)}

# Across shoulder and elbow: the long head of the triceps extends both, the biceps flexes both.
long_triceps = nest.Create("iaf_psc_alpha", 20, scattered)
biceps = nest.Create("iaf_psc_alpha", 20, scattered)

# Across the elbow alone: the other two heads of the triceps extend it, the brachialis flexes it.
triceps = nest.Create("iaf_psc_alpha", 20, scattered)
brachialis = nest.Create("iaf_psc_alpha", 20, scattered)

# Antagonists inhibit each other: who pulls quiets who would pull back. In a spinal cord interneurons do that.
synapse = {"weight": -3.0, "delay": 1.0}  # pA, ms
nest.Connect(long_triceps, biceps, "all_to_all", synapse)
nest.Connect(biceps, long_triceps, "all_to_all", synapse)
nest.Connect(triceps, brachialis, "all_to_all", synapse)
nest.Connect(brachialis, triceps, "all_to_all", synapse)
