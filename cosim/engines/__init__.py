# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs the neurons: one folder for each simulator."""
