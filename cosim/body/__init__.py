# SPDX-License-Identifier: GPL-2.0-or-later
"""Bodies: physics, muscles, vehicles, and what transfer functions see of them."""
