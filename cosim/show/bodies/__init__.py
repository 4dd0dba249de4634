# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures and films of bodies, one file for each kind."""
