# SPDX-License-Identifier: GPL-2.0-or-later
"""How a run goes: by itself, on from where a recorded one ended, or as its brain alone on the recorded stimuli."""
