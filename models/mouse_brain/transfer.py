# SPDX-License-Identifier: GPL-2.0-or-later
"""The task of ``mouse_m1`` with the whole brain: motor cortex acts on the forelimb, the others on motor cortex."""

from models.mouse_m1.transfer import Protocol, actuate, stimulate, summarize, tell

__all__ = ["Protocol", "actuate", "stimulate", "summarize", "tell"]
