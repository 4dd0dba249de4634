# SPDX-License-Identifier: GPL-2.0-or-later
"""Bodies of links, joints and Millard muscles."""

import os
from pathlib import Path

from cosim.tools.setup.cache import cache_folder

# numba keeps what it compiles beside the source; where that must not be written, with what else is built once.
if not os.access(Path(__file__).parent, os.W_OK):
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder() / "numba"))
