# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim bench``: measure cosim on this machine, each thing beside what it is compared with."""
