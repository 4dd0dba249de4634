# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be on a machine before a run: system packages, NEST with MPI, the cache of built things.

These modules run before anything is installed, so they import the standard library only.
"""
