"""Two populations of neurons, one for the wheels of each side. Each variable that holds neurons is a population."""

import nest

# A current that lets the neurons fire by themselves a little: without light the robot moves slowly ahead. They start
# at different potentials, or all would fire at once. Try I_e = 370.0, which is too little to fire from.
parameters = {"I_e": 380.0, "V_m": nest.random.uniform(-70.0, -55.0)}
left = nest.Create("iaf_psc_alpha", 20, parameters)
right = nest.Create("iaf_psc_alpha", 20, parameters)

# Each side inhibits the other, so that the one with more light wins. Try a weight of 0, or a positive one.
inhibition = {"weight": -5.0, "delay": 1.0}  # pA, ms
nest.Connect(left, right, "all_to_all", inhibition)
nest.Connect(right, left, "all_to_all", inhibition)
