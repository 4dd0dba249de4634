# SPDX-License-Identifier: GPL-2.0-or-later
"""cosim: a spiking brain and a body in closed loop, in one MPI program."""

__version__ = "0.1.0"
