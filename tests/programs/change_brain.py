# SPDX-License-Identifier: GPL-2.0-or-later
"""Change a brain between its steps, rebuild it, and say what came of it: ``[mpiexec -n N] python change_brain.py OUT``.

All ranks are brain ranks, with six virtual processes in all. OUT gets arrays by name, and texts.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from mpi4py import MPI

from cosim.devices.devices import Device, Devices
from cosim.devices.leaky_integrator_alpha import LeakyIntegratorAlpha
from cosim.devices.poisson import PoissonSource
from cosim.engines.nest import kernel
from cosim.engines.nest.brain import Brain
from cosim.engines.nest.built_network import build_network
from cosim.errors import BrainError
from cosim.network import Bernoulli, Constant, Drive, FixedIndegree, Network, Normal, Population, Projection, Unplaced
from cosim.network.address import Address
from cosim.parallel.machine import resident_bytes
from cosim.parallel.world import fatal_errors_end_the_job

STEP_MS, STEPS, VIRTUAL_PROCESSES = 5.0, 14, 6
COMM = MPI.COMM_WORLD
MODELS = {name: f"iaf_{name}" for name in ("psc_exp", "psc_alpha", "cond_exp", "cond_alpha")}
CURRENT = {"psc_exp": 380.0, "psc_alpha": 370.0, "cond_exp": 240.0, "cond_alpha": 240.0}
# By step: each acts in another way in NEST, some only after a hook.
CHANGES = {
    2: ("psc_exp", {"C_m": 150.0}),
    3: ("psc_exp[0:5]", {"tau_syn_ex": 5.0, "t_ref": 8.0}),
    4: ("psc_exp[3:]", {"V_th": -57.0, "tau_m": 7.0, "E_L": -68.0}),
    5: ("psc_alpha", {"tau_m": 6.0, "tau_syn_ex": 1.0}),
    6: ("psc_alpha[::2]", {"t_ref": 5.0, "C_m": 200.0, "I_e": 500.0}),
    7: ("cond_exp", {"t_ref": 6.0, "g_L": 14.0}),
    8: ("cond_exp[1:9]", {"tau_syn_ex": 3.0, "C_m": 200.0, "V_m": -62.0}),
    9: ("cond_alpha", {"t_ref": 5.0, "tau_syn_ex": 1.0}),
    10: ("cond_alpha[-4:]", {"C_m": 180.0}),
    11: ("psc_exp[0]", {"frozen": True}),
}
STDP = {"synapse_model": "stdp_pl_synapse_hom", "synapse_parameters": {"lambda": 0.1}}
QUIET = "nest.verbosity = nest.VerbosityLevel.ERROR\n"
MORE_SYNAPSES = (
    "stdp_synapse",
    "tsodyks_synapse",
    "stdp_synapse_hpc",
    "static_synapse_hpc",
    "vogels_sprekeler_synapse",
)


def tables() -> Network:
    """Four models that are driven, plastic synapses, and neurons that differ in threshold."""
    parts = [Population(name, "R", model, {"I_e": CURRENT[name]}, Unplaced(12)) for name, model in MODELS.items()]
    mixed = Population("mixed", "R", "iaf_psc_exp", {"I_e": 380.0, "V_th": Normal(-55.0, 4.0)}, Unplaced(12))
    projections = [Projection(name, "psc_exp", FixedIndegree(4), Constant(30.0), 1.0) for name in MODELS]
    projections += [Projection("psc_exp", "cond_exp", Bernoulli(0.5), Constant(3.0), 1.5)]
    projections += [Projection("psc_exp", "psc_alpha", Bernoulli(0.5), Constant(40.0), 1.0, **STDP)]
    projections += [
        Projection("mixed", "cond_alpha", Bernoulli(0.3), Constant(2.0), 1.0, synapse_model=model)
        for model in MORE_SYNAPSES
    ]
    drives = [Drive(name, 2000.0, 20.0 if "psc" in name else 1.0, 1.0) for name in MODELS]
    return Network((*parts, mixed), tuple(projections), tuple(drives))


def devices(names: tuple[str, ...], with_ports: bool) -> Devices:
    recorded = tuple(Address(name) for name in names)
    if not with_ports:
        return Devices((), (), recorded)
    source = PoissonSource(name="input", population="psc_exp", weight=25.0, delay_ms=1.0)
    sink = LeakyIntegratorAlpha(populations="psc_exp", name="output", weight_pa=10.0, delay_ms=1.0)
    at = Address("psc_exp")
    return Devices((Device("input", at, source),), (Device("output", at, sink),), recorded)


class Trial:
    """A kernel, and what is built in it one after the other."""

    def __init__(self) -> None:
        self.kernel = kernel.start(COMM, VIRTUAL_PROCESSES, 5, 0.1)

    def brain(self, with_ports: bool = False, source: Network | Path | None = None, in_common: bool = False) -> Brain:
        """Built anew; with synapses that have one weight ``in_common``, too."""
        self.kernel.restart()
        network = build_network(self.kernel, source or tables(), "nestlink", lambda _: None)
        made = devices(tuple(network.nodes), with_ports)
        if in_common:
            ends = network.nodes["psc_exp"], network.nodes["mixed"]
            self.kernel.nest.Connect(*ends, "one_to_one", {"synapse_model": "static_synapse_hom_w"})
        return Brain(self.kernel, network, made, STEP_MS, lambda _: None)

    def run(self, brain: Brain, first: int, steps: int, before: dict = {}) -> None:
        """Some steps, each begun ahead but where something is done ``before`` it."""
        for step in range(first, first + steps):
            if step in before:
                before[step]()
            brain.stimulate(np.array([1000.0 * (step % 3)]))
            brain.run()
            brain.collect()
            if step + 1 < first + steps and step + 1 not in before:
                brain.run_ahead()


def spikes(brain: Brain) -> np.ndarray:
    """(2, n) of all ranks: times and node ids, sorted."""
    found = brain.spikes()
    return whole(np.array(found.times_ms), np.array(found.node_ids, dtype=float))


def whole(times: np.ndarray, ids: np.ndarray) -> np.ndarray:
    times, ids = (np.concatenate(COMM.allgather(each)) for each in (times, ids))
    order = np.lexsort((ids, times))
    return np.stack([times[order], ids[order]])


def voltages(brain: Brain) -> np.ndarray:
    """Of all neurons of the four models, by their ids."""
    of_ranks = COMM.allgather([brain.parameters(name, ["V_m"])["V_m"] for name in MODELS])
    return np.concatenate([np.sort(np.concatenate(parts)) for parts in zip(*of_ranks)])


def refused(act) -> str:
    """What is said, which must be the same on all ranks."""
    text = "done"
    try:
        act()
    except BrainError as error:
        text = str(error)
    assert len(set(COMM.allgather(text))) == 1
    return text


def changed(trial: Trial) -> dict:
    """Spikes and voltages of a brain that is changed while it runs."""
    brain, seen = trial.brain(), []

    def change(step):
        brain.set_parameters(*CHANGES[step])
        seen.append(voltages(brain))

    trial.run(brain, 0, STEPS, {step: lambda step=step: change(step) for step in CHANGES})
    return {"changed": spikes(brain), "voltages": np.array([*seen, voltages(brain)])}


def changed_in_nest(trial: Trial) -> dict:
    """The same with nothing but PyNEST, on one rank: Cleanup, set, Prepare."""
    trial.kernel.restart()
    nest = trial.kernel.nest
    network = build_network(trial.kernel, tables(), "nestlink", lambda _: None)
    nodes, seen = network.nodes, []
    recorder = nest.Create("spike_recorder")
    for each in nodes.values():
        nest.Connect(each, recorder)

    def look():
        seen.append(np.concatenate([np.sort(nodes[name].get("V_m")) for name in MODELS]))

    nest.Prepare()
    for step in range(STEPS):
        if step in CHANGES:
            address = Address.parse(CHANGES[step][0])
            nest.Cleanup()
            part = slice(*address.part.indices(len(nodes[address.pattern])))
            nodes[address.pattern][part].set(**CHANGES[step][1])
            nest.Prepare()
            look()
        nest.Run(STEP_MS)
    look()
    nest.Cleanup()
    events = recorder.events
    return {"nest": whole(events["times"], events["senders"].astype(float)), "nest_voltages": np.array(seen)}


def untouched(trial: Trial) -> dict:
    brain = trial.brain(with_ports=True, in_common=True)
    trial.run(brain, 0, STEPS)
    return {"untouched": spikes(brain)}


def wrong(trial: Trial) -> dict:
    """Refused changes, and changes that are taken back, in a run that must not know of them."""
    brain = trial.brain(with_ports=True, in_common=True)
    acts = {
        "threshold": lambda: brain.set_parameters("mixed", {"E_L": -60.0, "V_reset": -55.0}),
        "typo": lambda: brain.set_parameters("psc_exp", {"V_thh": -50.0}),
        "read_only": lambda: brain.set_parameters("psc_exp", {"t_spike": 1.0}),
        "population": lambda: brain.set_parameters("psc_ex", {"V_th": -50.0}),
        "nan": lambda: brain.set_parameters("psc_exp", {"V_th": float("nan")}),
        "text": lambda: brain.set_parameters("psc_exp", {"V_th": "high"}),
        "nothing": lambda: brain.set_parameters("psc_exp", {}),
        "huge": lambda: brain.set_parameters("psc_exp", {"V_th": 10**400}),
        "nowhere": lambda: brain.set_parameters("psc_exp[12:]", {"V_th": -50.0}),
        "truth": lambda: brain.set_parameters("psc_exp", {"frozen": 0.5}),
        "tau": lambda: brain.set_parameters("cond_exp", {"tau_syn_ex": -1.0, "V_th": -54.0}),
        "negative": lambda: brain.scale_weights("psc_exp", "cond_exp", -1.0),
        "no_synapses": lambda: brain.scale_weights("psc_alpha", "cond_exp", 2.0),
        "in_common": lambda: brain.scale_weights("psc_exp", "mixed", 2.0),
        "too_large": lambda: brain.scale_weights("psc_exp", "cond_exp", 1e308),
        "nobody": lambda: brain.scale_weights("psc_exp", "inputs", 2.0),
    }
    said = {}

    def act(names):
        for name in names:
            said[name] = refused(acts[name])
            brain.undo()

    def take_back():
        brain.set_parameters("cond_exp", {"t_ref": 9.0, "g_L": 30.0})
        brain.undo()
        for source, target in (("psc_exp", "cond_exp"), ("psc_exp", "psc_alpha"), ("input", "psc_exp")):
            brain.scale_weights(source, target, 0.0)
            brain.undo()
        brain.undo()

    names = list(acts)
    trial.run(brain, 0, STEPS, {3: lambda: act(names[:7]), 6: lambda: act(names[7:]), 8: take_back})
    return {"wrong": spikes(brain), **{f"said_{name}": text for name, text in said.items()}}


def scaled(trial: Trial) -> dict:
    """Weights before and after, as PyNEST sees them on this rank; how many synapses; the time for a million of them."""
    brain, nest = trial.brain(with_ports=True), trial.kernel.nest
    trial.run(brain, 0, 2)

    def weights() -> np.ndarray:
        """(3, n) of all ranks: source, target, weight."""
        found = nest.GetConnections().get(["source", "target", "weight"])
        rows = np.array([np.atleast_1d(found[name]) for name in ("source", "target", "weight")], dtype=float)
        rows = np.concatenate(COMM.allgather(rows), axis=1)
        return rows[:, np.lexsort(rows[::-1])]

    before = weights()
    counts = [
        COMM.allreduce(brain.scale_weights(*each))
        for each in (
            ("psc_exp", "cond_exp", 2.0),
            ("psc_exp[0:6]", "psc_alpha", 0.5),
            ("mixed", "cond_alpha", 4.0),
            ("input", "psc_exp[2]", 8.0),
            ("psc_exp", "output", 16.0),
        )
    ]
    after = weights()
    trial.run(brain, 2, 3)
    return {"before": before, "after": after, "counts": np.array(counts), "scaled": spikes(brain)}


def million(trial: Trial) -> dict:
    """Seconds to scale a million synapses, static and plastic."""
    took = []
    for model in ("static_synapse", "stdp_pl_synapse_hom"):
        trial.kernel.restart()
        cells = Population("cells", "R", "iaf_psc_exp", {}, Unplaced(1000))
        dense = Projection("cells", "cells", FixedIndegree(1000), Constant(1.0), 1.0, synapse_model=model)
        network = build_network(trial.kernel, Network((cells,), (dense,)), "nestlink", lambda _: None)
        brain = Brain(trial.kernel, network, Devices((), (), ()), STEP_MS, lambda _: None)
        began = time.process_time()
        count = COMM.allreduce(brain.scale_weights("cells", "cells", 0.5))
        took.append([time.process_time() - began, count])
    return {"million": np.array(took)}


def reset(trial: Trial) -> dict:
    """Steps, a reset, and the same steps again, twenty times; memory of each turn."""
    brain = trial.brain(with_ports=True)
    turns, memory = [], []
    bound = brain.run
    for turn in range(21):
        if turn:
            brain.reset(turn * 3)
        trial.run(brain, 0, 3)
        turns.append(spikes(brain))
        if turn < 20:
            brain.forget_spikes()
        memory.append(resident_bytes())
    assert bound == brain.run
    readout = np.full(1, np.nan)
    brain.read(readout)
    return {
        "first": turns[0],
        "others": np.array([np.round(each - [[turn * 3 * STEP_MS], [0]], 6) for turn, each in enumerate(turns)]),
        "last": turns[-1],
        "grown": np.array(COMM.allgather(memory[-1] - memory[3])),
        "readout": np.nanmax(COMM.allgather(readout[0])),
    }


def kept(trial: Trial) -> dict:
    """What was collected before a reset and not yet written is still there after it."""
    brain = trial.brain()
    trial.run(brain, 0, 3)
    brain.reset(3)
    trial.run(brain, 0, 3)
    return {"kept": spikes(brain), "kept_done": np.array(brain.spikes().done), "kept_n": len(brain.spikes().times_ms)}


SCRIPT = """
import nest
import helper

nest.ResetKernel()
helper.sizes.append(helper.sizes[0])
cells = nest.Create("iaf_psc_exp", sum(helper.sizes), params={"I_e": 500.0})
nest.Connect(cells, cells, {"rule": "fixed_indegree", "indegree": 5}, {"weight": 100.0, "delay": 1.0})
nest.Simulate(10.0)
nest.Connect(cells, cells)
nest.Simulate(10.0)
"""


def scripts(trial: Trial, folder: Path) -> dict:
    """A script that keeps a state in a module of its own, built three times."""
    if COMM.rank == 0:
        (folder / "script.py").write_text(SCRIPT)
        (folder / "helper.py").write_text("sizes = [13]\n")
    COMM.Barrier()
    brain = trial.brain(source=folder / "script.py")
    turns = []
    for turn in range(3):
        if turn:
            brain.reset(0)
            brain.forget_spikes()
        trial.run(brain, 0, 6)
        turns.append(spikes(brain))
    return {"script_counts": np.array([each.shape[1] for each in turns]), "script": turns[0], "script_last": turns[-1]}


GAPS = """
import nest

cells = nest.Create("hh_psc_alpha_gap", 7, params={"I_e": 600.0})
nest.Connect(cells[:4], cells[3:], "all_to_all", {"weight": 20.0, "delay": 1.0})
for left, right in zip(cells[:6], cells[1:], strict=True):
    nest.GetConnections(cells)
    nest.Connect(left, right, {"rule": "one_to_one", "make_symmetric": True}, {"synapse_model": "gap_junction"})
nest.GetConnections(cells)
nest.Simulate(1.0)
"""


def gaps(trial: Trial, folder: Path) -> dict:
    """Spikes of neurons with gap junctions, which NEST tells of in messages of their own."""
    if COMM.rank == 0:
        (folder / "gaps.py").write_text(GAPS.replace("import nest\n", "import nest\n" + QUIET))
    COMM.Barrier()
    brain = trial.brain(source=folder / "gaps.py")
    trial.run(brain, 0, 4)
    return {"gaps": spikes(brain)}


# As many networks as sizes, each with another number of GetConnections, before and after its last Connect.
LOOKING = """
import os
import nest

nest.verbosity = nest.VerbosityLevel.ERROR
size, looks = int(os.environ["SIZE"]), int(os.environ["LOOKS"])
cells = nest.Create("iaf_psc_exp", size, params={"I_e": 500.0})
few = {"rule": "fixed_indegree", "indegree": 5}
nest.Connect(cells[:: 1 + size // 2 % 2], cells[: size // 3], few, {"weight": 200.0, "delay": 1.0})
if looks > 0:
    nest.GetConnections(cells[:1])
nest.Connect(cells[:5], cells[-5:], "all_to_all", {"weight": 100.0, "delay": 1.0})
if looks > 1:
    nest.GetConnections(cells[:1])
nest.Simulate(1.0)
"""


def looking(trial: Trial, folder: Path, virtual_processes: int) -> dict:
    """Spikes of scripts that look at their connections while they make them; with threads NEST has more room."""
    trial.kernel = replace(trial.kernel, virtual_processes=virtual_processes)
    if COMM.rank == 0:
        (folder / "looking.py").write_text(LOOKING)
    COMM.Barrier()
    found = []
    for size in range(20, 60):
        os.environ.update(SIZE=str(size), LOOKS=str(1 + size % 2))
        brain = trial.brain(source=folder / "looking.py")
        trial.run(brain, 0, 4)
        times, ids = spikes(brain)
        found.append([len(times), (times * (1 + ids)).sum()])
    return {f"looking_{virtual_processes}": np.array(found)}


def late(trial: Trial) -> dict:
    """A brain on a kernel that has simulated."""
    trial.kernel.restart()
    network = build_network(trial.kernel, tables(), "nestlink", lambda _: None)
    trial.kernel.nest.Simulate(2.0)
    return {"late": refused(lambda: Brain(trial.kernel, network, devices((), True), STEP_MS, lambda _: None))}


def main(out: Path) -> None:
    trial = Trial()
    found = changed(trial) | untouched(trial) | wrong(trial) | scaled(trial) | reset(trial) | kept(trial) | late(trial)
    found |= scripts(trial, out.parent) | gaps(trial, out.parent)
    if COMM.size == 1:
        found |= changed_in_nest(trial) | million(trial)
    for virtual_processes in (2, 3):
        if COMM.size in (1, virtual_processes):
            found |= looking(trial, out.parent, virtual_processes)
    if COMM.rank == 0:
        np.savez(out, **found)


with fatal_errors_end_the_job([]):
    main(Path(sys.argv[1]))
