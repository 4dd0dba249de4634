# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run does now, in a file for those who look on: it runs or is paused, and where."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from cosim.control.steered_run import SteeredRun
from cosim.errors import RecordingError
from cosim.record.disk import write_text

log = logging.getLogger("cosim")

# A run that stands still says so again after this time: it lives.
REPEAT_S = 10.0


class StateFile:
    """``control/state.json`` of a run, written when the state changes. Body rank."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._written = path, 0.0
        self._told: dict[str, Any] = {}

    def write(self, state: str, run: SteeredRun) -> None:
        """Say that the run is in this ``state``, if anybody can steer it."""
        if self._path is None:
            return
        told: dict[str, Any] = {"state": state, "step": run.step, **run.status()}
        if told != self._told or time.monotonic() - self._written > REPEAT_S:
            self._told, self._written = told, time.monotonic()
            try:
                write_text(self._path, json.dumps(told) + "\n")
            except RecordingError as error:  # somebody deleted the folder, which is no reason to end a run
                log.warning("how the run stands cannot be told: %s", error)
