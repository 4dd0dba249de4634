# SPDX-License-Identifier: GPL-2.0-or-later
"""``run.py`` in which a brain rank whose build failed gives the others one second to fail too."""

import sys

from cosim.parallel import world
from cosim.program import main

world.FAIL_TOGETHER_S = 1.0
sys.exit(main(sys.argv[1:]))
