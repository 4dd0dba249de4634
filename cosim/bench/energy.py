# SPDX-License-Identifier: GPL-2.0-or-later
"""Energy that a run took: from the kernel's powercap interface, or from Slurm's accounting."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
NOT_AVAILABLE = "not available"


class Meter:
    """The energy counters of the processor packages of this machine, from when this is made."""

    def __init__(self, folder: Path = POWERCAP) -> None:
        # A package is intel-rapl:0; intel-rapl:0:0 is a part of it. AMD's counters have the same names.
        self._zones = [zone for zone in sorted(folder.glob("intel-rapl:*")) if zone.name.count(":") == 1]
        self._start_uj = self._read()

    def joules(self) -> float | None:
        """Energy since this was made; None where there are no counters, or only root may read them."""
        end_uj = self._read()
        if self._start_uj is None or end_uj is None:
            return None
        ranges_uj = [int((zone / "max_energy_range_uj").read_text()) for zone in self._zones]
        used = (_difference(*each) for each in zip(self._start_uj, end_uj, ranges_uj, strict=True))
        return sum(used) / 1e6

    def _read(self) -> list[int] | None:
        try:
            return [int((zone / "energy_uj").read_text()) for zone in self._zones] or None
        except PermissionError:
            return None


def _difference(start: int, end: int, range_: int) -> int:
    """Counters start again at 0 when they reach their range, within minutes once at most."""
    return end - start if end >= start else end - start + range_


def of_last_slurm_step() -> float | None:
    """Joules of the last step of this job by Slurm's accounting; None without, or if it counts no energy."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or shutil.which("sacct") is None:
        return None
    command = ["sacct", "--jobs", job, "--noheader", "--parsable2", "--format=JobID,ConsumedEnergyRaw"]
    done = subprocess.run(command, capture_output=True, text=True)
    steps = [line.split("|") for line in done.stdout.splitlines() if line.startswith(f"{job}.")]
    counted = [joules for name, joules in steps if name.removeprefix(f"{job}.").isdigit()]
    # A cluster without an energy plugin accounts 0 J.
    return (float(counted[-1] or 0) or None) if counted else None
