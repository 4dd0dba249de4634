# SPDX-License-Identifier: GPL-2.0-or-later
"""Make synapses with nestlink and write what NEST then has: ``... CASE VIRTUAL_PROCESSES OUT``, alone or
under mpiexec.

CASE is one of the functions below; what it returns is gathered from all ranks and written to OUT by the
first.
"""

import sys

import numpy as np
from mpi4py import MPI

from cosim.engines.nest import kernel
from cosim.engines.nest.nestlink import NestlinkError
from cosim.engines.nest.nestlink.connect import AxisOffers, Nodes, Synapse
from cosim.network.layout import Axis, Grid
from cosim.network.rules import Bernoulli, Box
from cosim.parallel.world import fatal_errors_end_the_job

STATIC = Synapse("static_synapse", 1.0, 1.5)


def synapses(nest, *arguments, **options) -> dict[str, np.ndarray]:
    """Those of this rank."""
    found = nest.GetConnections(*arguments, **options)
    values = found.get(["source", "target", "weight", "delay"]) if len(found) else {}
    return {name: np.atleast_1d(values.get(name, [])) for name in ("source", "target", "weight", "delay")}


def grid(counts: tuple[int, ...], wrapped: bool) -> Grid:
    axes = tuple(Axis(count, -0.1 * count / 2, 0.1 * count / 2) for count in counts)
    return Grid(axes, tuple(axis.span_mm + 0.1 for axis in axes), wrapped)


def offers(rule: Bernoulli, source: Grid, target: Grid) -> list[AxisOffers]:
    factors = [rule.kernel(source, target, number) for number in range(3)]
    factors[0] = factors[0] * rule.p_center
    return [AxisOffers.from_table(rule.offers(source, target, k), factor) for k, factor in enumerate(factors)]


def whole(nodes, layout: Grid) -> Nodes:
    return Nodes(nodes[0].global_id, tuple(axis.count for axis in layout.axes))


def against_nest(nest, link, wrapped: bool) -> dict[str, np.ndarray]:
    """A grid joined to another and to itself by NEST's rule and by nestlink, told apart by synapse models."""
    source, target = grid((14, 12, 3), wrapped), grid((10, 9, 4), wrapped)
    rule = Bernoulli(0.3, 0.25, Box((-0.9, -0.9, -0.3), (0.9, 0.9, 0.3)) if wrapped else None)
    layers = [
        nest.Create(
            "iaf_psc_alpha",
            positions=nest.spatial.free(each.positions_mm.tolist(), extent=list(each.extent_mm), edge_wrap=wrapped),
        )
        for each in (source, target)
    ]
    x, y = nest.spatial.distance.x, nest.spatial.distance.y
    p = rule.p_center * nest.spatial_distributions.gaussian2D(x, y, std_x=rule.sigma_mm, std_y=rule.sigma_mm)
    spec = {"rule": "pairwise_bernoulli", "p": p, "allow_autapses": False}
    if wrapped:
        box = {"lower_left": list(rule.mask.lower_mm), "upper_right": list(rule.mask.upper_mm)}
        spec |= {"mask": {"box": box}, "allow_oversized_mask": True}
    result = {}
    for name, post, layer in (("other", target, layers[1]), ("own", source, layers[0])):
        ends = [whole(nodes, each) for nodes, each in ((layers[0], source), (layer, post))]
        for model in ("theirs", "ours"):
            nest.CopyModel("static_synapse", f"{model}_{name}")
        weight = nest.random.lognormal(mean=-0.7, std=0.5)
        nest.Connect(layers[0], layer, spec, {"synapse_model": f"theirs_{name}", "weight": weight, "delay": 2.0})
        synapse = Synapse(f"ours_{name}", (-0.7, 0.5), 2.0)
        made = link.connect_bernoulli(*ends, offers(rule, source, post), synapse, key=5)
        for model in ("theirs", "ours"):
            found = synapses(nest, synapse_model=f"{model}_{name}")
            result |= {f"{model}_{name}_{key}": values for key, values in found.items()}
        assert made == len(result[f"ours_{name}_source"])
        same = name == "own"
        moments = rule.expected_synapses(source, post, same), rule.variance(source, post, same)
        result[f"{name}_expected"] = np.array(moments)
    return result


def bounded(nest, link) -> dict[str, np.ndarray]:
    return against_nest(nest, link, False)


def wrapped(nest, link) -> dict[str, np.ndarray]:
    return against_nest(nest, link, True)


def trials(nest, link) -> dict[str, np.ndarray]:
    """How often each pair is joined in many draws of one odd table, and how many pairs each draw joins."""
    random = np.random.default_rng(3)
    counts, keys = ((5, 4, 3), (4, 5, 2)), 400
    offered = [random.choice(3, (b, a), p=[0.3, 0.5, 0.2]) for a, b in zip(*counts, strict=True)]
    factors = [random.choice([0.0, 0.02, 0.3, 0.7, 0.999, 1.0], table.shape) for table in offered]
    factors[2][:] = random.choice([0.9, 1.0], factors[2].shape)
    offered[0][2] = 0  # a target plane whose mask is empty
    axes = [AxisOffers.from_table(times, factor) for times, factor in zip(offered, factors, strict=True)]
    source, target = (Nodes(nest.Create("iaf_psc_alpha", int(np.prod(each)))[0].global_id, each) for each in counts)
    made = [link.connect_bernoulli(source, target, axes, STATIC, key) for key in range(keys)]
    found = synapses(nest)
    joined = np.zeros((target.size, source.size))
    np.add.at(joined, (found["target"] - target.first_id, found["source"] - source.first_id), 1)
    times, p = np.ones((1, 1)), np.ones((1, 1))
    for each, factor in zip(offered, factors, strict=True):
        times, p = np.kron(times, each), np.kron(p, factor)
    return {"joined": joined, "made": np.array(made), "mean": times * p, "variance": times * p * (1 - p)}


def indegree(nest, link) -> dict[str, np.ndarray]:
    """All variants of a fixed number of sources, as synapse models named after what they allow."""
    nodes = nest.Create("iaf_psc_alpha", 300)
    population = Nodes(nodes[0].global_id, (300,))
    positions_mm = np.random.default_rng(1).uniform(-0.5, 0.5, (300, 2))
    placed = {"positions": (positions_mm, positions_mm)}
    once = {"allow_multapses": False, "allow_autapses": False}
    variants = {
        "free": {},
        "circle": placed | {"radius_mm": 0.2},
        "distinct": once,
        "distinct_circle": placed | once | {"radius_mm": 0.3},
        "nearest": placed | {"radius_mm": 1e-9, "allow_autapses": False, "nearest_if_empty": True},
    }
    result = {"positions_mm": positions_mm, "first_id": np.array([population.first_id])}
    for key, (name, options) in enumerate(variants.items()):
        nest.CopyModel("static_synapse", name)
        link.connect_indegree(population, population, 20, Synapse(name, 1.0, 1.0), key, **options)
        found = synapses(nest, synapse_model=name)
        result |= {f"{name}_source": found["source"], f"{name}_target": found["target"]}
    return result


def models(nest, link) -> dict[str, np.ndarray]:
    """One-to-one links by several synapse models, with receptors, relays and devices at their ends."""
    ports = nest.Create("iaf_psc_exp_multisynapse", 6, params={"tau_syn": [2.0, 5.0]})
    plain, relays = nest.Create("iaf_psc_exp", 6), nest.Create("parrot_neuron", 6)
    rates = nest.Create("poisson_generator", params={"rate": 4000.0})
    recorder = nest.Create("spike_recorder")
    port_ids, plain_ids, relay_ids = (np.array(nodes.tolist()) for nodes in (ports, plain, relays))
    nest.CopyModel("stdp_pl_synapse_hom_hpc", "plastic", {"lambda": 0.2})
    links = [("static_synapse", port_ids, 2), ("stdp_synapse", port_ids, 1)]
    links += [("static_synapse_hpc", plain_ids, 0), ("plastic", plain_ids, 0)]
    made = [
        link.connect_pairs(relay_ids, cell_ids, Synapse(model, 100.0 + number, 1.04 + number, receptor), number)
        for number, (model, cell_ids, receptor) in enumerate(links)
    ]
    made.append(link.connect_pairs(np.full(6, rates.global_id), relay_ids, STATIC, 9))
    made.append(link.connect_pairs(plain_ids, np.full(6, recorder.global_id), STATIC, 10))
    found = [nest.GetConnections(relays, ports + plain, model) for model, _, _ in links]
    names = ("source", "target", "weight", "delay", "receptor")
    columns = {name: np.array([each.get(name) for each in found]) for name in names}
    delays_ms = np.array([nest.min_delay, nest.max_delay])
    nest.Simulate(100.0)
    return columns | {"made": np.array(made), "spikes": np.array([recorder.n_events]), "delays_ms": delays_ms}


def refused(nest, link) -> dict[str, np.ndarray]:
    """The message of everything that cannot be."""
    cells, devices = nest.Create("iaf_psc_exp_multisynapse", 40), nest.Create("poisson_generator")
    many, one = Nodes(cells[0].global_id, (40,)), Nodes(devices.global_id, (1,))
    ids = np.array(cells.tolist())
    spots = np.zeros((40, 2)), np.ones((40, 2))
    attempts = {
        "receptor": lambda: link.connect_pairs(ids, ids, Synapse("static_synapse", 1.0, 1.0, 7), 1),
        "model": lambda: link.connect_pairs(ids, ids, Synapse("no_synapse", 1.0, 1.0), 1),
        "delay": lambda: link.connect_pairs(ids, ids, Synapse("static_synapse", 1.0, 0.01, 1), 1),
        "node": lambda: link.connect_pairs(ids, ids + 41, Synapse("static_synapse", 1.0, 1.0, 1), 1),
        "device": lambda: link.connect_indegree(one, many, 3, STATIC, 1),
        "gap": lambda: link.connect_pairs(ids, ids, Synapse("gap_junction", 1.0, 1.0), 1),
        "alone": lambda: link.connect_indegree(many, many, 3, STATIC, 1, positions=spots, radius_mm=0.3),
        "few": lambda: link.connect_indegree(many, many, 41, STATIC, 1, allow_multapses=False),
    }
    messages = {}
    for name, attempt in attempts.items():
        try:
            attempt()
        except NestlinkError as error:
            messages[name] = np.array([str(error)])
    return messages


def copied(nest, link) -> dict[str, np.ndarray]:
    """Spikes of a network that nestlink made, and of one that NEST made from the list of its synapses."""

    def simulate(wire) -> tuple[np.ndarray, ...]:
        cells = nest.Create("iaf_psc_alpha", 200)
        drive = nest.Create("poisson_generator", params={"rate": 9000.0})
        nest.Connect(drive, cells, "all_to_all", {"weight": 40.0, "delay": 1.5})
        wire(cells)
        recorder = nest.Create("spike_recorder")
        nest.Connect(cells, recorder)
        delays_ms = np.array([nest.min_delay, nest.max_delay])
        nest.Simulate(200.0)
        order = np.lexsort((recorder.events["senders"], recorder.events["times"]))
        return recorder.events["senders"][order], recorder.events["times"][order], delays_ms

    def ours(cells) -> None:
        population = Nodes(cells[0].global_id, (200,))
        link.connect_indegree(population, population, 20, Synapse("static_synapse", -8.0, 0.7), 1)
        link.connect_indegree(population, population, 30, Synapse("static_synapse_hpc", 4.0, 2.2), 2)
        made.append(synapses(nest, cells, cells))

    def theirs(cells) -> None:
        (listed,) = made
        columns = {"weight": listed["weight"], "delay": listed["delay"]}
        nest.Connect(listed["source"], listed["target"], "one_to_one", columns)

    made: list[dict] = []
    first = simulate(ours)
    nest.ResetKernel()
    nest.local_num_threads, nest.rng_seed = 2, 7
    second = simulate(theirs)
    names = ("senders", "times", "delays_ms")
    return {f"{name}_{k}": run[i] for k, run in enumerate((first, second)) for i, name in enumerate(names)}


def split(nest, link) -> dict[str, np.ndarray]:
    """A network of all rules, its synapses and its spikes."""
    rule, layout = Bernoulli(0.25, 0.3), grid((6, 6, 3), False)
    cells, others = nest.Create("iaf_psc_alpha", layout.size), nest.Create("iaf_psc_alpha", 50)
    drive = nest.Create("poisson_generator", params={"rate": 9000.0})
    nest.Connect(drive, cells + others, "all_to_all", {"weight": 40.0, "delay": 1.5})
    on_grid, loose = Nodes(cells[0].global_id, (6, 6, 3)), Nodes(others[0].global_id, (50,))
    lognormal = Synapse("static_synapse", (2.0, 0.5), 0.8)
    made = link.connect_bernoulli(on_grid, on_grid, offers(rule, layout, layout), lognormal, key=2**63)
    on_line = Nodes(on_grid.first_id, (layout.size,))
    made += link.connect_indegree(on_line, loose, 9, Synapse("static_synapse", (2.0, 0.1), 1.5), 2)
    pairs = [np.array(nodes.tolist()[:50]) for nodes in (others, cells)]
    made += link.connect_pairs(*pairs, Synapse("stdp_pl_synapse_hom_hpc", (1.0, 0.5), 1.3), 3)
    neurons = cells + others
    found = synapses(nest, neurons, neurons)
    assert made == len(found["source"])
    recorder = nest.Create("spike_recorder")
    nest.Connect(neurons, recorder)
    delays_ms = np.array([nest.min_delay, nest.max_delay])
    nest.Simulate(150.0)
    spikes = {"senders": recorder.events["senders"], "times": recorder.events["times"]}
    return found | spikes | {"delays_ms": delays_ms}


def main() -> None:
    case, virtual_processes, out = sys.argv[1:]
    comm = MPI.COMM_WORLD
    started = kernel.start(comm, int(virtual_processes), 7, 0.1)
    parts = comm.gather(globals()[case](started.nest, started.link))
    if parts is not None:
        np.savez(out, **{name: np.concatenate([each[name] for each in parts]) for name in parts[0]})


with fatal_errors_end_the_job([]):
    main()
