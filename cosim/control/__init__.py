# SPDX-License-Identifier: GPL-2.0-or-later
"""Hands on a running experiment: commands, when they act, and how they reach the run."""
