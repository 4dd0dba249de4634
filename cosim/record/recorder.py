# SPDX-License-Identifier: GPL-2.0-or-later
"""What a rank stores in every coupling step.

The body rank writes ``run.h5`` (body and exchange); every rank writes a shard of its own with its step profile, brain
ranks also their spikes. Shards are merged when the run has ended (see ``cosim.record.merge``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cosim.body.kinds import Body
from cosim.brain.brain import Brain
from cosim.config import Clock
from cosim.devices import Devices
from cosim.exchange import Exchange
from cosim.profile import STEP_PHASES
from cosim.record.folder import RunFolder
from cosim.record.series import Series, SeriesFile
from cosim.world import BODY_RANK

PROFILE = "profile"
SPIKE_TIMES, SPIKE_IDS, SPIKES_DONE = "spikes/timestamps", "spikes/node_ids", "spikes/done"


class Recorder(Protocol):
    """One call a step, on every rank."""

    def record(self) -> None:
        """Store what the step brought."""

    def record_profile(self, row: np.ndarray) -> None:
        """Store the wall times (1, phases) of a step that is done."""

    def flush_if_due(self) -> None:
        """Write to disk if the last time is long ago or much has come together."""

    def close(self) -> None:
        """Write everything to disk; a second call does nothing."""


PROFILE_SERIES = Series((len(STEP_PHASES),), attributes={"phases": list(STEP_PHASES), "units": "s"})


class BrainRecorder:
    """Writes the spikes of one brain rank to its shard.

    ``spikes/timestamps`` (ms) and ``spikes/node_ids`` (NEST's) hold the spikes in the order in which the threads
    wrote them, ``spikes/done`` the number of spikes at the end of each step: step k has those from done[k - 1] to
    done[k].
    """

    def __init__(self, path: Path, brain: Brain) -> None:
        self._brain, self._count = brain, 0
        self._file = SeriesFile(
            path,
            {
                SPIKE_TIMES: Series(attributes={"units": "ms"}),
                SPIKE_IDS: Series(dtype="i8"),
                SPIKES_DONE: Series(dtype="i8"),
                PROFILE: PROFILE_SERIES,
            },
        )

    def record(self) -> None:
        """Move the spikes of this step out of NEST."""
        for events in self._brain.spikes():
            self._file.append(SPIKE_TIMES, events.times_ms)
            self._file.append(SPIKE_IDS, events.senders)
            self._count += len(events.senders)
        self._brain.forget_spikes()
        self._file.append(SPIKES_DONE, np.array([self._count]))

    def record_profile(self, row: np.ndarray) -> None:
        """Store the wall times (1, phases) of a step that is done."""
        self._file.append(PROFILE, row)

    def flush_if_due(self) -> None:
        """Write to disk if the last time is long ago or much has come together."""
        self._file.flush_if_due()

    def close(self) -> None:
        """Write everything to disk; a second call does nothing."""
        self._file.close()


class BodyRecorder:
    """Writes body and exchange to ``run.h5``: body at every physics step, exchange at every coupling step.

    A body without series leaves no group there.

    ``exchange/readout/<sink>`` is the readout at the end of a step, ``exchange/stimulus/<source>`` what acted in it.
    """

    def __init__(
        self,
        folder: RunFolder,
        body: Body,
        exchange: Exchange,
        devices: Devices,
        clock: Clock,
        attributes: Mapping[str, Any],
    ) -> None:
        self._body, self._exchange, self._steps = body, exchange, 0
        self._clock = clock
        self._file = SeriesFile(folder.run_file, self._series(devices), attributes)
        self._shard = SeriesFile(folder.shard(BODY_RANK), {PROFILE: PROFILE_SERIES})

    def _series(self, devices: Devices) -> dict[str, Series]:
        body = {
            f"body/{name}": Series(rows.shape[1:], attributes={"columns": list(self._body.columns[name])})
            for name, rows in self._body.series.items()
        }
        ms = Series(attributes={"units": "ms"})
        body |= {"body/time_ms": ms} if body else {}
        sinks, sources = (tuple(each.name for each in kind) for kind in (devices.sinks, devices.sources))
        exchange = {
            "exchange/readout": Series(attributes={"units": "mV"}, columns=sinks),
            "exchange/stimulus": Series(attributes={"units": "Hz"}, columns=sources),
        }
        return {**body, "exchange/time_ms": ms, **exchange}

    def record(self) -> None:
        """Store the samples of the body and the values exchanged in this step."""
        self._record_body(self._steps * self._clock.coupling_step_ms)
        self._steps += 1
        self._file.append("exchange/time_ms", np.array([self._steps * self._clock.coupling_step_ms]))
        self._file.append("exchange/readout", self._exchange.readout[np.newaxis])
        self._file.append("exchange/stimulus", self._exchange.stimulus[np.newaxis])

    def _record_body(self, start_ms: float) -> None:
        for name, rows in self._body.series.items():
            self._file.append(f"body/{name}", rows)
        if self._body.series:
            substeps = np.arange(1, len(rows) + 1)
            self._file.append("body/time_ms", start_ms + substeps * self._clock.physics_step_ms)

    def record_profile(self, row: np.ndarray) -> None:
        """Store the wall times (1, phases) of a step that is done."""
        self._shard.append(PROFILE, row)

    def flush_if_due(self) -> None:
        """Write to disk if the last time is long ago or much has come together."""
        self._file.flush_if_due()
        self._shard.flush_if_due()

    def close(self) -> None:
        """Write everything to disk; a second call does nothing."""
        self._file.close()
        self._shard.close()
