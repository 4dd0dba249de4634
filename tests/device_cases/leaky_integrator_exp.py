# SPDX-License-Identifier: GPL-2.0-or-later
"""A leaky integrator with exponential currents that listens to neurons that fire on their own."""

import math

DEVICES = """
[[sinks]]
kind = "leaky_integrator_exp"
name = "exp_sink"
populations = "exp_heard[1:]"
weight_pa = 12.0
delay_ms = 2.0
c_m_pf = 500.0
tau_m_ms = 15.0
tau_syn_ms = 3.0
"""


def brain(nest):
    return {"exp_heard": nest.Create("iaf_psc_exp", 5, {"I_e": 600.0, "V_m": nest.random.uniform(-70.0, -55.0)})}


def sinks(nest, neurons):
    zeros = dict.fromkeys(("E_L", "V_reset", "V_m", "I_e"), 0.0)
    times = {"tau_m": 15.0, "tau_syn_ex": 3.0, "tau_syn_in": 3.0}
    integrator = nest.Create("iaf_psc_exp", params={"V_th": math.inf, "C_m": 500.0, **times, **zeros})
    nest.Connect(neurons["exp_heard"][1:], integrator, "all_to_all", {"weight": 12.0, "delay": 2.0})
    return integrator


def read(nest, integrator):
    return {"exp_sink": integrator.V_m}
