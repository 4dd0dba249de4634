# SPDX-License-Identifier: GPL-2.0-or-later
"""What the files of a run tell of it while it goes on, and how values are written down."""

from __future__ import annotations

import json
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
from cosim.errors import ConfigurationError
from cosim.record.attempts import attempt
from cosim.record.folder import RunFolder
from cosim.results.spikes import Spikes


def as_json(value: Any) -> Any:
    """A value of Python or numpy, or lists and tables of such, as JSON can hold it."""
    if hasattr(value, "tolist"):
        return as_json(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    return str(value) if isinstance(value, Path) else value


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


def settings(values: Mapping[str, Any]) -> list[str]:
    """Values of an experiment by key, as ``--set`` takes them: ``key=value``, in TOML.

    Raises:
        ConfigurationError: TOML has no such value.
    """
    return [f"{key}={_as_toml(key, as_json(value))}" for key, value in values.items()]


def _as_toml(key: str, value: Any) -> str:
    """In one line."""
    if isinstance(value, dict):
        inner = (f"{json.dumps(name, ensure_ascii=False)} = {_as_toml(key, each)}" for name, each in value.items())
        return f"{{{', '.join(inner)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_as_toml(key, each) for each in value)}]"
    try:
        return tomli_w.dumps({"x": value}).removeprefix("x = ").strip()
    except TypeError:
        allowed = "must be text, a number, true or false, a time, or lists and tables of them"
        raise ConfigurationError(f"{key}: {value!r}: {allowed}") from None


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
