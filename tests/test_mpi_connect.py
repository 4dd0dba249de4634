# SPDX-License-Identifier: GPL-2.0-or-later
"""Synapses that nestlink makes do not depend on ranks, threads and virtual processes."""

from __future__ import annotations

import numpy as np

PROGRAM = "tests/programs/make_synapses.py"


def network(launch, folder, ranks: int, virtual_processes: int) -> dict[str, np.ndarray]:
    """Synapses and spikes of the program's network, both sorted."""
    out = folder / f"{ranks}-{virtual_processes}.npz"
    result = launch(ranks, PROGRAM, "split", virtual_processes, out)
    assert result.returncode == 0, result.stderr
    found = dict(np.load(out))
    by_pair = np.lexsort([found[name] for name in ("delay", "weight", "target", "source")])
    by_time = np.lexsort([found[name] for name in ("senders", "times")])
    order = dict.fromkeys(("source", "target", "weight", "delay"), by_pair)
    order |= dict.fromkeys(("senders", "times"), by_time)
    return {name: values[order[name]] if name in order else values for name, values in found.items()}


def test_synapses_and_spikes_are_the_same_for_every_split(launch, tmp_path):
    whole = network(launch, tmp_path, 1, 4)
    assert whole["source"].size > 1500 and whole["senders"].size > 500
    for ranks in (2, 4):
        part = network(launch, tmp_path, ranks, 4)
        assert part.pop("delays_ms").reshape(ranks, 2).tolist() == [[0.8, 1.5]] * ranks  # on every rank
        for name, values in part.items():
            np.testing.assert_array_equal(values, whole[name], err_msg=name)
    # Spikes are other ones on another number of virtual processes, synapses are not.
    three = network(launch, tmp_path, 3, 3)
    for name in ("source", "target", "weight", "delay"):
        np.testing.assert_array_equal(three[name], whole[name], err_msg=name)
