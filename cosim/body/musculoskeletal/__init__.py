# SPDX-License-Identifier: GPL-2.0-or-later
"""Bodies of links, joints and Millard muscles."""
