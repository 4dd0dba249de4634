# SPDX-License-Identifier: GPL-2.0-or-later
"""Spike sources and spike sinks: what brain and body exchange."""
