# SPDX-License-Identifier: GPL-2.0-or-later
"""What a rank stores in every coupling step.

The body rank writes ``run.h5`` (body and exchange); every rank writes a shard of its own with its step profile, brain
ranks also their spikes. Shards are merged when the run has ended (see ``cosim.record.merge``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cosim.body.kind import Body
from cosim.body.quantities import quantity
from cosim.devices import series as device_series
from cosim.devices.devices import Device, Devices, SpikeLists, datasets
from cosim.engines.engine import SteppedBrain
from cosim.experiment.config import Clock
from cosim.parallel.exchange import Exchange
from cosim.parallel.machine import resident_bytes
from cosim.parallel.world import BODY_RANK
from cosim.record import lists
from cosim.record.disk import BYTES_PER_MB
from cosim.record.drive import DriveFile
from cosim.record.folder import RunFolder
from cosim.record.names import MEMORY, PROFILE, SPIKE_IDS, SPIKE_TIMES, SPIKES_DONE, WEIGHTS
from cosim.record.profile import STEP_PHASES
from cosim.record.returned import ReturnedValues
from cosim.record.series import Series, SeriesFile
from cosim.record.weights import weight_series

SPIKE_BYTES = 16
# Of spikes that wait on a rank, which are not copied before they are written.
FLUSH_BYTES = 16 * 2**20


class Recorder(Protocol):
    """One call a step, on every rank."""

    def record(self) -> None:
        """Store what the step brought."""

    def record_profile(self, rows: np.ndarray) -> None:
        """Store the wall times (n, phases) of steps that are done."""

    def flush_is_due(self) -> bool:
        """Whether this rank wishes that all write to disk."""

    def flush(self) -> None:
        """Write everything to disk."""

    def close(self) -> None:
        """Write everything to disk; a second call does nothing."""


PROFILE_SERIES = Series((len(STEP_PHASES),), attributes={"phases": list(STEP_PHASES), "units": "s"})
# What the rank has in use whenever it writes to disk, for those who look on.
MEMORY_SERIES = Series(attributes={"units": "MB"})


class BrainRecorder:
    """Writes the spikes of one brain rank to its shard.

    ``spikes/timestamps`` (ms) and ``spikes/node_ids`` (NEST's) hold the spikes in the order in which the threads
    wrote them, ``spikes/done`` the number of spikes at the end of each step: step k has those from done[k - 1] to
    done[k]. Of a sink that keeps all weights there are ``weights/<sink>/source_id``, ``target_id`` and ``weight``, time
    after time.
    """

    def __init__(self, path: Path, brain: SteppedBrain) -> None:
        self._brain, self._waiting, self._weights = brain, 0, brain.kept_weights
        self._file = SeriesFile(
            path,
            {
                SPIKE_TIMES: Series(attributes={"units": "ms"}),
                SPIKE_IDS: Series(dtype="i8"),
                SPIKES_DONE: Series(dtype="i8"),
                PROFILE: PROFILE_SERIES,
                MEMORY: MEMORY_SERIES,
                **weight_series(self._weights),
            },
        )
        for each in self._weights:
            self._file.write(f"{WEIGHTS}/{each.name}/source_id", each.source_ids)
            self._file.write(f"{WEIGHTS}/{each.name}/target_id", each.target_ids)

    def record(self) -> None:
        """Take over the spikes of this step; they wait where nestlink keeps them, and are written from there."""
        self._waiting = self._brain.collect()

    def record_profile(self, rows: np.ndarray) -> None:
        """Store the wall times (n, phases) of steps that are done."""
        self._file.append(PROFILE, rows)

    def flush_is_due(self) -> bool:
        """Whether much waits to be written. When it is time to write anyway is for the body rank to say."""
        weights_bytes = sum(each.taken().nbytes for each in self._weights)
        return self._waiting * SPIKE_BYTES + weights_bytes > FLUSH_BYTES

    def flush(self) -> None:
        """Write everything to disk."""
        spikes = self._brain.spikes()
        self._file.write(SPIKE_TIMES, spikes.times_ms)
        self._file.write(SPIKE_IDS, spikes.node_ids)
        self._file.write(SPIKES_DONE, spikes.done)
        self._brain.forget_spikes()
        for each in self._weights:
            self._file.write(f"{WEIGHTS}/{each.name}/weight", each.taken())
            each.forget()
        self._file.append(MEMORY, _memory_mb())
        self._file.flush()

    def close(self) -> None:
        """Write everything to disk; a second call does nothing."""
        if self._file.is_open:
            self.flush()
            self._file.close()


class BodyRecorder:
    """Writes body and exchange to ``run.h5``: body at every physics step, exchange at every coupling step.

    A body without series leaves no group there.

    ``exchange/readout/<sink>`` is the readout at the end of a step, ``exchange/stimulus/<source>`` what acted in it;
    what each is, and in which unit, is in its attributes (see ``cosim.devices.series``). Spikes that are exchanged one
    by one are in ``exchange/spikes`` (see ``cosim.record.lists``). What transfer functions return goes to files of
    their own (see ``cosim.record.returned``).
    """

    def __init__(
        self,
        folder: RunFolder,
        body: Body,
        exchange: Exchange,
        devices: Devices,
        clock: Clock,
        attributes: Mapping[str, Any],
        returned: ReturnedValues,
    ) -> None:
        self._body, self._exchange, self._steps = body, exchange, 0
        self._returned = returned
        self._clock = clock
        self._lists, self._listed = exchange.lists, {*lists.series(devices)}
        self._file = SeriesFile(folder.run_file, self._series(devices), attributes)
        self._shard = SeriesFile(folder.shard(BODY_RANK), {PROFILE: PROFILE_SERIES, MEMORY: MEMORY_SERIES})
        self.drive = DriveFile(folder.drive_file)

    def _series(self, devices: Devices) -> dict[str, Series]:
        body = {
            f"body/{name}": Series(rows.shape[1:], attributes=self._known_of(name))
            for name, rows in self._body.series.items()
        }
        ms = Series(attributes={"units": "ms"})
        body |= {"body/time_ms": ms} if body else {}
        readout, stimulus = _columns(devices.sinks), _columns(devices.sources)
        values = {"exchange/time_ms": ms, "exchange/readout": readout, "exchange/stimulus": stimulus}
        return {**body, **values, **lists.series(devices)}

    def _known_of(self, name: str) -> dict[str, Any]:
        """The attributes of a series of the body, as those of the exchange."""
        words, units = quantity(name)
        return {"columns": list(self._body.columns[name]), "quantity": words, "units": units}

    def record(self) -> None:
        """Store the samples of the body and the values exchanged in this step."""
        self._record_body(self._steps * self._clock.coupling_step_ms)
        self._steps += 1
        self._file.append("exchange/time_ms", np.array([self._steps * self._clock.coupling_step_ms]))
        self._file.append("exchange/readout", self._exchange.readout[np.newaxis])
        self._file.append("exchange/stimulus", self._exchange.acted[np.newaxis])
        self._returned.record()
        if self._lists is not None:
            self._record_lists(self._lists)

    def _record_lists(self, of_exchange: SpikeLists) -> None:
        for name, rows in lists.of_step(of_exchange):
            if name in self._listed:
                self._file.append(name, rows)

    def _record_body(self, start_ms: float) -> None:
        for name, rows in self._body.series.items():
            self._file.append(f"body/{name}", rows)
        if self._body.series:
            substeps = np.arange(1, len(rows) + 1)
            self._file.append("body/time_ms", start_ms + substeps * self._clock.physics_step_ms)

    def record_profile(self, rows: np.ndarray) -> None:
        """Store the wall times (n, phases) of steps that are done."""
        self._shard.append(PROFILE, rows)

    def flush_is_due(self) -> bool:
        """Whether the last time was long ago, or much waits to be written."""
        return self._file.is_due() or self._returned.is_due()

    def flush(self) -> None:
        """Write everything to disk."""
        self._shard.append(MEMORY, _memory_mb())
        self._returned.flush()
        self.drive.flush()
        self._file.flush()
        self._shard.flush()

    def close(self) -> None:
        """Write everything to disk; a second call does nothing."""
        self._returned.close()
        self.drive.close()
        self._file.close()
        self._shard.close()


def _columns(devices: Sequence[Device]) -> Series:
    """One message of the exchange, with a dataset for each device."""
    parts = datasets(devices)
    return Series(
        columns=tuple(parts),
        shapes={name: part.shape for name, (_, part) in parts.items() if part.shape},
        column_attributes={name: device_series.attributes(*owned) for name, owned in parts.items()},
    )


def _memory_mb() -> np.ndarray:
    """A row for the series."""
    return np.array([resident_bytes() / BYTES_PER_MB])
