# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the folder of a finished run."""

from __future__ import annotations

import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from cosim.record.folder import RunFolder


class Spikes(NamedTuple):
    """Spikes of one population, sorted by time and then id."""

    timestamps_ms: np.ndarray
    """(n,) float64."""
    node_ids: np.ndarray
    """(n,) uint64, from 0."""


class RunData:
    """The data of a run as numpy arrays; each is read when it is first asked for."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = RunFolder(Path(folder))

    @cached_property
    def config(self) -> dict[str, Any]:
        """The effective configuration."""
        return tomllib.loads((self.folder.path / "config.toml").read_text())

    def _read(self, group: str) -> dict[str, np.ndarray]:
        with h5py.File(self.folder.run_file, "r") as file:
            items = file[group].items() if group in file else ()  # there may be no body, no sinks or no sources
            return {name: item[:] for name, item in items if isinstance(item, h5py.Dataset)}

    @cached_property
    def body(self) -> dict[str, np.ndarray]:
        """Series of the body by name, (physics steps, columns); ``time_ms`` is the time of each row.

        Empty for a run without a body.
        """
        return self._read("body")

    @cached_property
    def readout(self) -> dict[str, np.ndarray]:
        """Voltage in mV of each spike sink at the end of every step, (steps,)."""
        return self._read("exchange/readout")

    @cached_property
    def stimulus(self) -> dict[str, np.ndarray]:
        """Rate in Hz of each spike source in every step, (steps,)."""
        return self._read("exchange/stimulus")

    @cached_property
    def exchange_time_ms(self) -> np.ndarray:
        """End of every step, (steps,)."""
        return self._read("exchange")["time_ms"]

    @cached_property
    def profile(self) -> dict[str, np.ndarray]:
        """Wall time in s of each phase of a step, (ranks, steps); rank 0 is the body."""
        return self._read("profile")

    @cached_property
    def spikes(self) -> dict[str, Spikes]:
        """Spikes of each recorded population."""
        with h5py.File(self.folder.spike_file, "r") as file:
            return {name: Spikes(group["timestamps"][:], group["node_ids"][:]) for name, group in file["spikes"].items()}

    def columns(self, series: str) -> list[str]:
        """Names of the columns of a series of the body, such as the muscles."""
        with h5py.File(self.folder.run_file, "r") as file:
            return [str(name) for name in file[f"body/{series}"].attrs["columns"]]

    def tip_position_m(self, time_ms: float) -> np.ndarray:
        """Position (3,) of the body's tip at ``time_ms``.

        Raises:
            ValueError: the run ended before.
        """
        times_ms = self.body["time_ms"]
        row = int(np.searchsorted(times_ms, time_ms - 1e-6))
        if row == len(times_ms):
            raise ValueError(f"the run ended at {times_ms[-1]:g} ms, before {time_ms:g} ms")
        return self.body["tip_position_m"][row]
