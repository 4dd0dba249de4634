# SPDX-License-Identifier: GPL-2.0-or-later
"""Which mode a user asked for: a normal run, going on with a recorded one, or replaying one."""

from __future__ import annotations

from cosim.experiment.options import Options
from cosim.modes.normal import NormalRun
from cosim.modes.replay import ReplayedRun
from cosim.modes.resume import ResumedRun


def choose(options: Options) -> NormalRun:
    """The mode of a run with these options. Body rank.

    Raises:
        ConfigurationError: there is no recorded run to go along.
    """
    if options.resume:
        return ResumedRun.along(options, options.resume)
    if options.replay:
        return ReplayedRun.along(options, options.replay)
    return NormalRun(options)
