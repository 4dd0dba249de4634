# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m cosim`` is the ``cosim`` command."""

import sys

from cosim.cli import main

if __name__ == "__main__":
    sys.exit(main())
