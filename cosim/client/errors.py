# SPDX-License-Identifier: GPL-2.0-or-later
"""What may go wrong with a run that a program holds, besides what a command was refused for."""

from __future__ import annotations


class RunError(Exception):
    """A run has ended, failed, or does not answer; the message says which, and shows what it printed last."""
