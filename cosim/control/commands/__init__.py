# SPDX-License-Identifier: GPL-2.0-or-later
"""What may be done to a running experiment: one class for each command, registered by name."""
