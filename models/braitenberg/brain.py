# SPDX-License-Identifier: GPL-2.0-or-later
"""Four small populations that steer a vehicle towards a light: Braitenberg's vehicle 2b (Vehicles, MIT Press, 1984).

A plain PyNEST script: each variable that holds neurons is a population, and its name is the population's name.
"""

import nest

# NEST's default integrate-and-fire neuron; it fires by itself from a current of 375 pA on.
left_eye = nest.Create("iaf_psc_alpha", 20)
right_eye = nest.Create("iaf_psc_alpha", 20)

# A constant current keeps the motor neurons firing slowly, so that the vehicle also moves in the dark. They start at
# different potentials, or they would all fire at once.
tonic = {"I_e": 380.0, "V_m": nest.random.uniform(-70.0, -55.0)}
left_motor = nest.Create("iaf_psc_alpha", 10, tonic)
right_motor = nest.Create("iaf_psc_alpha", 10, tonic)

# Crossed and excitatory: light on the left speeds up the wheels on the right, and the vehicle turns to the left.
synapse = {"weight": 20.0, "delay": 1.0}  # pA, ms
nest.Connect(left_eye, right_motor, "all_to_all", synapse)
nest.Connect(right_eye, left_motor, "all_to_all", synapse)
