# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim describe``: what an experiment will build and how much memory it will take, from its tables alone.

Nothing is built, and neither NEST nor PyBullet is imported.
"""

from __future__ import annotations

import json as json_format
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from cosim.body import kinds
from cosim.devices.base import DeviceTable
from cosim.devices.devices import Devices
from cosim.devices.series import label
from cosim.engines.nest import connection_limits, memory
from cosim.errors import ConfigurationError
from cosim.experiment.brains import TableBrain
from cosim.experiment.config import Experiment, load
from cosim.network.network import Network, drive_links, expected_synapses, synapse_variance
from cosim.plan import resolve_devices


def main(
    experiment: str,
    overrides: Sequence[str],
    ranks: int | None,
    threads: int | None,
    json: bool = False,
    projections: bool = False,
    predict: Callable[[Experiment], dict[str, Any]] | None = None,
) -> int:
    """Print the description of an experiment as one JSON object or as tables, with ``projections`` if wanted.

    ``predict`` adds what it would cost elsewhere.

    Raises:
        ConfigurationError: all problems of the experiment together.
    """
    loaded = load(experiment, overrides)
    description = describe(loaded, ranks, threads)
    if predict:
        description["prediction"] = predict(loaded)
    if json:
        print(json_format.dumps(description, indent=2))
    else:
        Console(markup=False, highlight=False).print(Group(*_tables(description, projections)))
    return 0


def describe(experiment: Experiment, ranks: int | None = None, threads: int | None = None) -> dict[str, Any]:
    """All that ``cosim describe --json`` prints; memory is for ``ranks`` brain ranks with ``threads`` each.

    Without them it is for one brain rank with all virtual processes as threads. Of a brain that is a script
    nothing is known before it has run but its ports. Numbers of synapses are exact means over seeds.

    Raises:
        ConfigurationError: the tables, the ports, the transfer functions or the split have problems.
    """
    ranks, threads = _split(experiment, ranks, threads)
    head = {"experiment": experiment.name, "title": experiment.config.title, "seed": experiment.config.seed}
    head["brain"], head["body"] = str(experiment.brain.path), str(experiment.body_file or "") or None
    if not isinstance(experiment.brain, TableBrain):
        unknown = {"populations": [], "regions": {}, "totals": dict.fromkeys(("neurons", "synapses", "bytes"))}
        return head | {"script": str(experiment.brain.path)} | unknown | {"ports": _script_ports(experiment)}
    try:
        tables = experiment.network()
    except ValueError as error:
        raise ConfigurationError(f"{experiment.folder / 'experiment.toml'}: {error}") from None
    devices = resolve_devices(experiment, tables.sizes, tables.receptors)
    expected = expected_synapses(tables)
    load_ = memory.weigh(tables, expected, devices, experiment.config.clock.resolution_ms)
    predicted = load_.split(ranks, threads)
    description: dict[str, Any] = head | _counts(tables, expected, devices)
    description["totals"]["bytes"] = predicted.bytes
    description["ports"] = [*_device_ports(tables, devices), *_body_ports(experiment)]
    description["memory"] = {"ranks": ranks, "threads": threads, "bytes": predicted.bytes}
    description["memory"] |= {"bytes_per_rank": predicted.bytes_per_rank, "body_bytes": predicted.body_bytes}
    description["memory"]["assumed"] = load_.assumptions
    description["connections"] = _connections(tables, devices, ranks, threads)
    return description


def _connections(network: Network, devices: Devices, ranks: int, threads: int) -> dict[str, Any]:
    """The synapse model of which a virtual process gets the most connections, and what NEST allows.

    ``virtual_processes_needed`` is the smallest multiple of ``ranks`` that is enough; None if none is.
    """
    share = connection_limits.largest_share(network, devices, ranks * threads)
    needed: int | None = share.virtual_processes
    if not share.is_allowed:
        needed = connection_limits.processes_needed(network, devices, share, ranks)
    return {
        "synapse_model": share.synapse_model,
        "largest_share": round(share.connections),
        "allowed": connection_limits.MAX_CONNECTIONS,
        "virtual_processes": share.virtual_processes,
        "virtual_processes_needed": needed,
    }


def _split(experiment: Experiment, ranks: int | None, threads: int | None) -> tuple[int, int]:
    """Brain ranks and threads of each; what is not given follows from the virtual processes."""
    processes = experiment.config.brain.virtual_processes
    for option, number in (("--ranks", ranks), ("--threads", threads)):
        if number is not None and number < 1:
            raise ConfigurationError(f"{option} {number}: must be 1 or more")
        if number is not None and (ranks is None or threads is None) and processes % number:
            raise ConfigurationError(f"{option} {number}: does not divide brain.virtual_processes = {processes}")
    if threads is None:
        return ranks or 1, processes // (ranks or 1)
    return ranks or processes // threads, threads


def _counts(network: Network, expected: np.ndarray, devices: Devices) -> dict[str, Any]:
    """Populations, relays, projections, regions, links and totals.

    Synapses of a region are those onto its neurons from neurons and relays. Totals hold Poisson and relay
    links besides, which is the way of Feldotto et al. 2022; links of the experiment's devices are apart.
    """
    neurons = [each for each in network.populations if not each.is_relay]
    regions = {each.region: {"neurons": 0, "synapses": 0.0} for each in network.populations}
    for population in neurons:
        regions[population.region]["neurons"] += population.size
    relay_links = 0.0
    for projection, synapses in zip(network.projections, expected, strict=True):
        target = network.by_name[projection.target]
        if target.is_relay:
            relay_links += float(synapses)
        else:
            regions[target.region]["synapses"] += float(synapses)
    all_synapses = sum(region["synapses"] for region in regions.values()) + relay_links + drive_links(network)
    relays = [each for each in network.populations if each.is_relay]
    return {
        "populations": [{"name": each.name, "region": each.region, "neurons": each.size} for each in neurons],
        "relays": [{"name": each.name, "region": each.region, "nodes": each.size} for each in relays],
        "projections": list(_projections(network, expected)),
        "regions": {name: region | {"synapses": round(region["synapses"])} for name, region in regions.items()},
        "links": {
            "poisson": drive_links(network),
            "relay": round(relay_links),
            "devices": memory.device_links(network, devices),
        },
        "totals": {"neurons": sum(each.size for each in neurons), "synapses": round(all_synapses)},
    }


def _projections(network: Network, expected: np.ndarray) -> Iterator[dict[str, Any]]:
    deviations = np.sqrt(np.maximum(synapse_variance(network), 0))
    for projection, synapses, deviation in zip(network.projections, expected, deviations, strict=True):
        ends = {"source": projection.source, "target": projection.target}
        yield ends | {"synapses": float(synapses), "standard_deviation": float(deviation)}


def _device_ports(network: Network, devices: Devices) -> Iterator[dict[str, Any]]:
    for kind, ports in (("sink", devices.sinks), ("source", devices.sources)):
        for port in ports:
            neurons = port.neurons.size(network.sizes[port.neurons.pattern])
            where = {"population": port.neurons.pattern, "neurons": neurons, "delay_ms": port.table.connection_delay_ms}
            yield {"name": port.port, "kind": kind} | where | _exchanged(port.table)


def _script_ports(experiment: Experiment) -> list[dict[str, Any]]:
    config = experiment.config
    sinks = [
        {"name": each.name, "kind": "sink", "population": each.populations, **_exchanged(each)} for each in config.sinks
    ]
    sources = [
        {"name": each.name, "kind": "source", "population": each.address, **_exchanged(each)} for each in config.sources
    ]
    return [*sinks, *sources, *_body_ports(experiment)]


def _exchanged(table: DeviceTable) -> dict[str, str]:
    """What a source or sink exchanges, as the attributes in ``run.h5`` say it."""
    return {"device": table.kind, "quantity": table.quantity, "units": table.unit}


def _body_ports(experiment: Experiment) -> Iterator[dict[str, Any]]:
    for name, port in kinds.make_ports(experiment.body).items():
        yield {"name": name, "kind": "body", "has": [str(each) for each in getattr(port, "names", ())]}


# For people


def _tables(description: dict[str, Any], projections: bool) -> Iterator[RenderableType]:
    yield Text.assemble((description["experiment"], "bold"), f"  {description['title']}")
    if "script" in description:
        yield f"The brain is a script, {description['script']}: what it holds is known when it has run."
        yield f"body: {description['body'] or 'none'}"
        yield from _ports(description["ports"])
        return
    yield f"brain: {description['brain']}"
    yield f"body: {description['body'] or 'none'}"
    yield _populations(description)
    if projections:
        yield _projection_table(description["projections"])
    yield _regions(description)
    yield from _ports(description["ports"])
    yield _memory(description["memory"])
    yield from (Text(line) for line in description["memory"]["assumed"])
    yield from _refusals(description["connections"])
    if "prediction" in description:
        yield _prediction(description["prediction"])


def _refusals(connections: dict[str, Any]) -> Iterator[Text]:
    """What NEST would refuse; nothing where all is well."""
    if connections["largest_share"] > connections["allowed"]:
        yield Text(
            "\nNEST cannot hold it: each of {virtual_processes} virtual processes would get {largest_share:,} "
            "connections by {synapse_model}, at most {allowed:,} are allowed; brain.virtual_processes must be "
            "{virtual_processes_needed} or more.".format(**connections),
            style="bold",
        )


def _prediction(told: dict[str, Any]) -> Group:
    table = _table("quantity", "predicted")
    table.add_row("real-time factor without the first step", f"{told['real_time_factor_of_paper']:.3g}")
    table.add_row("step (ms)", f"{1000 * told['step_s']:.3g}")
    table.add_row("create and connect (s)", f"{told['build_s']:.3g}")
    table.add_row("GB on a brain rank", _gb(told["bytes_per_rank"]))
    table.add_row("GB on a node", _gb(told["bytes_per_node"]))
    table.add_row("error of the fit, median", f"{told['fit_errors']['run_s']['median']:.0%}")
    where = "On {nodes} nodes, {ranks} brain ranks x {threads} threads, at {rate_hz:.2g} Hz".format(**told)
    return _titled(where, table)


def _titled(title: str, table: Table) -> Group:
    return Group(Text(f"\n{title}", style="bold"), table)


def _table(*columns: str) -> Table:
    """A table whose columns hold numbers, but for the first; a column called ``name<`` holds text."""
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        justify: JustifyMethod = "right" if number and not column.endswith("<") else "left"
        table.add_column(column.removesuffix("<"), justify=justify, overflow="fold")
    return table


def _populations(description: dict[str, Any]) -> Group:
    table = _table("name", "region<", "neurons", "relays")
    for each in description["populations"]:
        table.add_row(each["name"], each["region"], f"{each['neurons']:,}", "")
    for each in description["relays"]:
        table.add_row(each["name"], each["region"], "", f"{each['nodes']:,}")
    return _titled("Populations", table)


def _projection_table(projections: list[dict[str, Any]]) -> Group:
    table = _table("source", "target<", "synapses", "+- standard deviation")
    for each in projections:
        numbers = f"{each['synapses']:,.0f}", f"{each['standard_deviation']:,.0f}"
        table.add_row(each["source"], each["target"], *numbers)
    return _titled("Projections", table)


def _regions(description: dict[str, Any]) -> Group:
    """Totals by region, links, and the sum of both without links of devices."""
    table = _table("name", "neurons", "synapses")
    for name, region in description["regions"].items():
        table.add_row(name, f"{region['neurons']:,}", f"{region['synapses']:,}")
    links, totals = description["links"], description["totals"]
    table.add_row("Poisson links", "", f"{links['poisson']:,}")
    table.add_row("relay links", "", f"{links['relay']:,}")
    table.add_row("in all", f"{totals['neurons']:,}", f"{totals['synapses']:,}", style="bold")
    table.add_row("links of devices", "", f"{links['devices']:,}")
    return _titled("Regions", table)


def _ports(ports: list[dict[str, Any]]) -> Iterator[Group]:
    """None without ports."""
    table = _table("name", "kind<", "value<", "neurons", "of<")
    for port in ports:
        name, neurons = port["name"] or port["population"], port.get("neurons")
        of = port.get("population") or ", ".join(port.get("has", ()))
        value = label(port["quantity"], port["units"]) if "quantity" in port else ""
        table.add_row(name, port["kind"], value, "" if neurons is None else f"{neurons:,}", of)
    if ports:
        yield _titled("Ports of transfer functions", table)


def _memory(predicted: dict[str, Any]) -> Group:
    table = _table("part", "GB")
    ranks = f"each of {predicted['ranks']} brain ranks x {predicted['threads']} threads"
    table.add_row(ranks, _gb(predicted["bytes_per_rank"]))
    table.add_row("body rank", _gb(predicted["body_bytes"]))
    table.add_row("in all", _gb(predicted["bytes"]), style="bold")
    return _titled("Memory, predicted peak", table)


def _gb(number: int) -> str:
    return f"{number / 1e9:,.2f}"
