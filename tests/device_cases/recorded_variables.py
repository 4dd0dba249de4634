# SPDX-License-Identifier: GPL-2.0-or-later
"""Potentials and conductances of neurons that excite each other, at several intervals."""

import numpy as np

INTERVAL_MS, STEP_MS = 2.5, 10.0
DEVICES = """
[[sinks]]
kind = "recorded_variables"
name = "cells"
populations = "recorded_cells[1:6:2]"
variables = ["g_ex", "V_m"]
interval_ms = 2.5
[[sinks]]
kind = "recorded_variables"
name = "finest"
populations = "recorded_cells[4]"
interval_ms = 0.1
[[sinks]]
kind = "recorded_variables"
name = "rarest"
populations = "recorded_cells"
interval_ms = 20.0
"""


def brain(nest):
    cells = nest.Create("iaf_cond_exp", 6, {"I_e": 400.0, "V_m": nest.random.uniform(-70.0, -55.0)})
    nest.Connect(cells, cells, "all_to_all", {"weight": 2.0, "delay": 2.0})
    return {"recorded_cells": cells}


def sinks(nest, neurons):
    cells = neurons["recorded_cells"]
    asked = [(cells[1:6:2], ["g_ex", "V_m"], INTERVAL_MS), (cells[4], ["V_m"], 0.1), (cells, ["V_m"], 20.0)]
    meters = []
    for listened, variables, interval_ms in asked:
        meters.append(nest.Create("multimeter", params={"record_from": variables, "interval": interval_ms}))
        nest.Connect(meters[-1], listened)
    return cells, meters


def read(nest, made):
    """What NEST's multimeter has written of the step, which lags behind; of the step's end the neurons' state."""
    cells, (meter, finest, _) = made
    order = np.lexsort((meter.events["senders"], meter.events["times"]))  # NEST's is by thread
    end_ms, events = nest.biological_time, {name: values[order] for name, values in meter.events.items()}
    times_ms = end_ms - STEP_MS + INTERVAL_MS * np.arange(1, 4)
    places = [np.flatnonzero(np.abs(events["times"] - time_ms) < 0.01) for time_ms in times_ms]
    state = {name: cells[1:6:2].get(name) for name in ("g_ex", "V_m")}
    values = {f"cells.{name}": [*(events[name][place] for place in places), state[name]] for name in state}
    finely = finest.events["V_m"]
    finest.n_events = 0
    return {**values, "_finely": finely, "_states": cells.V_m}


def check(run, expected):
    finely, states = expected["sink/_finely"], expected["sink/_states"].reshape(-1, 6)
    steps = len(states)
    assert run.readout["finest.V_m"].shape == (steps, 100, 1) and len(finely) > 100 * (steps - 1)
    np.testing.assert_array_equal(run.readout["finest.V_m"].ravel()[: len(finely)], finely)
    rarest = run.readout["rarest.V_m"][:, 0]
    assert np.isnan(rarest[0]).all()
    np.testing.assert_array_equal(rarest[1::2], states[1::2])
    np.testing.assert_array_equal(rarest[2::2], states[1:-1:2])
    assert run.sinks["cells.g_ex"].units == "nS" and run.sinks["cells.V_m"].quantity == "membrane potential"
