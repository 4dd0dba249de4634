# SPDX-License-Identifier: GPL-2.0-or-later
"""A running experiment in the hands of a Python program or a shell: started, attached to, steered, driven by a loop."""
