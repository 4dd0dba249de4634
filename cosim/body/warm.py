# SPDX-License-Identifier: GPL-2.0-or-later
"""Bodies that are warm: what is compiled or loaded at its first use is there before the loop begins."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress

from cosim.body.kind import Body
from cosim.errors import FAILURES


def make_warm(make: Callable[[], Body]) -> Body:
    """A body from ``make`` whose first step takes no longer than the others: one before it took a step and is gone.

    Nothing of the one before reaches the other: they share no state.
    """
    with closing(make()) as another, suppress(*FAILURES):  # what fails here fails in the loop too, and is told there
        another.advance()
    return make()
