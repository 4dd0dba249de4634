# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as a file of Neo: ``.mat``, which MATLAB reads too, or ``.nix``.

Of the formats that Neo writes, these keep names and annotations and hold data only; Neo's other one, a
pickle, would be executed when it is read. NIX takes 10 ms and 20 kB for a spike train, MATLAB's format 0.4 ms
and 1 kB.
"""

from __future__ import annotations

from pathlib import Path

from neo.io import NeoMatlabIO

from cosim.results.run_data import RunData


def write(run: RunData, path: Path) -> None:
    """Write one block with one segment."""
    if path.suffix == ".mat":
        NeoMatlabIO(str(path)).write_block(run.neo())
        return
    from neo.io import NixIO  # needs nixio

    with NixIO(str(path), "ow") as file:
        file.write_block(run.neo())
