# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run writes while it goes on, and the files made of it."""
