# SPDX-License-Identifier: GPL-2.0-or-later
"""Going along a recorded run: to go on from its end, or to run its brain again on the stimuli that it got."""
