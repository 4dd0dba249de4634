# SPDX-License-Identifier: GPL-2.0-or-later
"""Ranks and machines: who is body and who is brain, and what they exchange."""
