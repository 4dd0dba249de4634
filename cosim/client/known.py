# SPDX-License-Identifier: GPL-2.0-or-later
"""What the files of a run tell of it while it goes on, and how values are written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import tomli_w

from cosim.devices import kinds as device_kinds
from cosim.devices.base import DeviceTable
from cosim.devices.devices import Devices
from cosim.devices.resolve import Wanted, resolve
from cosim.engines.built import BuiltPopulation
from cosim.record.attempts import attempt
from cosim.record.folder import RunFolder
from cosim.results.spikes import Spikes


def as_json(value: Any) -> Any:
    """A value of Python or numpy as JSON can hold it."""
    return value.tolist() if hasattr(value, "tolist") else value


def devices_of(config: Mapping[str, Any], populations: Mapping[str, BuiltPopulation]) -> Devices:
    """The devices of a run, in the order of its messages, from what its folder says."""
    sizes = {name: each.size for name, each in populations.items()}
    sources, sinks = (_tables(section, config.get(section, ())) for section in ("sources", "sinks"))
    clock = config["clock"]
    wanted = Wanted(sources, sinks, (), clock["resolution_ms"], clock["coupling_step_ms"])
    return resolve(wanted, sizes, sizes)


def _tables(section: str, tables: Sequence[Mapping[str, Any]]) -> list[Any]:
    known: dict[str, type[DeviceTable]] = device_kinds.kinds(section)
    return [known[str(device_kinds.kind_of(section, table))].model_validate(table) for table in tables]


def as_toml(value: Any) -> str:
    """A value of Python, or a number or an array of numpy, as TOML."""
    plain = value.tolist() if hasattr(value, "tolist") else str(value) if isinstance(value, Path) else value
    return tomli_w.dumps({"x": plain}).removeprefix("x = ").strip()


def files_of(folder: Path) -> RunFolder:
    """Where the run in ``folder`` is written: one that is resumed writes into it, beside what it had."""
    run = RunFolder(folder)
    resumed = attempt(run)
    return resumed if resumed.shard_folder.is_dir() else run


def steps_on_disk(folder: Path) -> int:
    """Steps of which all that was exchanged is in the run's file."""
    with h5py.File(files_of(folder).run_file, "r", swmr=True) as file:
        return len(file["exchange/time_ms"])


def within(spikes: Spikes, start_ms: float) -> Spikes:
    """Those after ``start_ms``."""
    kept = spikes.timestamps_ms > start_ms
    return Spikes(spikes.timestamps_ms[kept], spikes.node_ids[kept])
