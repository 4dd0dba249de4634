# SPDX-License-Identifier: GPL-2.0-or-later
"""Wheeled vehicles in a room."""
