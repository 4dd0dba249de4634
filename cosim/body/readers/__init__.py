# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of other programs that a body file can include: OpenSim's muscles and URDF mechanisms."""
