# SPDX-License-Identifier: GPL-2.0-or-later
"""``run.py`` with the kinds of this folder: a line for each, and nothing else of cosim knows them."""

import runpy
from pathlib import Path

from cosim.devices.kinds import SINKS, SOURCES

SOURCES["direct_current"] = "direct_current:DirectCurrent"
SOURCES["currents"] = "currents:Currents"
SINKS["misread"] = "misread:Misread"
SINKS["spike_rate"] = "spike_rate:SpikeRate"

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).parents[2] / "run.py"), run_name="__main__")
