# SPDX-License-Identifier: GPL-2.0-or-later
"""Weights of plastic synapses: of a model that is read in its place, and of one that is read through its status."""

import numpy as np

EDGES, EVERY, FULL_EVERY = (20.0, 30.0, 35.5, 50.0), 3, 2
DEVICES = f"""
[[sinks]]
kind = "weights"
name = "forth"
source = "weight_sources[:5]"
populations = "weight_targets[1:]"
edges = {list(EDGES)}
full_every = {FULL_EVERY}
[[sinks]]
kind = "weights"
name = "back"
source = "weight_targets"
populations = "weight_sources"
every = {EVERY}
"""


def brain(nest):
    start = {"I_e": 600.0, "V_m": nest.random.uniform(-70.0, -55.0)}
    sources, targets = nest.Create("iaf_psc_alpha", 6, start), nest.Create("iaf_psc_alpha", 5, start)
    synapse = {"weight": nest.random.uniform(15.0, 60.0), "delay": 1.0}
    nest.Connect(sources, targets, "all_to_all", {"synapse_model": "stdp_synapse", **synapse})
    nest.Connect(sources[:2], targets, "all_to_all", {"synapse_model": "static_synapse", **synapse})
    nest.Connect(targets, sources, "all_to_all", {"synapse_model": "stdp_nn_symm_synapse", **synapse})
    return {"weight_sources": sources, "weight_targets": targets}


def sinks(nest, neurons):
    sources, targets = neurons["weight_sources"], neurons["weight_targets"]
    made = {"first": (sources[0].global_id, targets[0].global_id), "steps": 0, "back": None}
    return made | {"projections": (sources[:5], targets[1:], sources, targets)}


def read(nest, made):
    some_sources, some_targets, sources, targets = made["projections"]
    made["steps"] += 1
    forth = nest.GetConnections(some_sources, some_targets).get(["source", "target", "weight"])
    if made["back"] is None:
        made["back"] = np.array([np.nan])
    if made["steps"] % EVERY == 0:
        made["back"] = np.array(nest.GetConnections(targets, sources).get("weight"))
    order = np.lexsort((forth["weight"], forth["target"], forth["source"]))
    ids = np.array([forth["source"], forth["target"]])[:, order] - np.reshape(made["first"], (2, 1))
    weights = np.array(forth["weight"])
    return {
        "forth.mean": exact_mean(weights),
        "forth.histogram": np.histogram(weights, [-np.inf, *EDGES, np.inf])[0],
        "_forth": np.vstack([ids, weights[order]]),
        "_back": exact_mean(made["back"]),
    }


def exact_mean(weights):
    """Of weights in whole parts of 2^-44."""
    if np.isnan(weights).any():
        return np.nan
    return sum(int(each) for each in np.rint(weights * 2.0**44)) / (len(weights) << 44)


def check(run, expected):
    back = run.readout["back.mean"]
    means = expected["sink/_back"]
    assert back[0] == back[EVERY - 2] != back[EVERY - 1] == back[2 * EVERY - 2] != back[2 * EVERY - 1]
    np.testing.assert_array_equal(back[EVERY - 1 :], means[EVERY - 1 :])
    assert set(run.readout["back.count"]) == {30} and set(run.readout["forth.count"]) == {28}
    kept = run.weights("forth")
    by_time = expected["sink/_forth"].reshape(-1, 3, 28)
    assert kept.time_ms.tolist() == [0.0, 20.0, 40.0, 60.0, 80.0]
    assert (kept.source, kept.target) == ("weight_sources", "weight_targets")
    for time, weights in enumerate(kept.weights[1:], 1):
        sources, targets, alone = by_time[FULL_EVERY * time - 1]
        np.testing.assert_array_equal([kept.source_ids, kept.target_ids], [sources, targets])
        by_size = weights[np.lexsort((weights, kept.target_ids, kept.source_ids))]
        np.testing.assert_array_equal(by_size, alone)
    assert (kept.weights[0] != kept.weights[1]).any()
