# SPDX-License-Identifier: GPL-2.0-or-later
"""Physics engines below the joint-space seam, one file each."""
