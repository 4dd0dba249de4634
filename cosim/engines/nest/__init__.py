# SPDX-License-Identifier: GPL-2.0-or-later
"""NEST 3.10 as the brain: building networks in it, stepping it, and reading it."""
