# SPDX-License-Identifier: GPL-2.0-or-later
"""A small balanced network as people write it: settings of its own, its own recorder and analysis."""

import nest
import nest.raster_plot

discarded = nest.Create("iaf_psc_alpha", 7)

nest.ResetKernel()
nest.SetKernelStatus({"rng_seed": 33, "overwrite_files": True})
nest.local_num_threads = 3
nest.set(print_time=True)
nest.resolution = 0.1

nodes_ex = nest.Create("iaf_psc_alpha", 80, params={"V_m": nest.random.uniform(-70.0, -56.0)})
nodes_in = nest.Create("iaf_psc_alpha", 20)
neurons = nodes_ex + nodes_in
noise = nest.Create("poisson_generator", params={"rate": 9000.0})
recorder = nest.Create("spike_recorder")

nest.Connect(noise, neurons, "all_to_all", {"weight": 40.0, "delay": 1.0})
nest.Connect(nodes_ex, neurons, {"rule": "fixed_indegree", "indegree": 16}, {"weight": 20.0, "delay": 1.0})
nest.Connect(nodes_in, neurons, {"rule": "fixed_indegree", "indegree": 4}, {"weight": -100.0, "delay": 1.0})
recorded = nodes_ex[:50]
nest.Connect(recorded, recorder)
print("Building is done")

nest.Simulate(1000.0)

nest.raster_plot.from_device(recorder, hist=True)
raise RuntimeError("cosim does not run what comes after")
