# SPDX-License-Identifier: GPL-2.0-or-later
"""From experiment.toml and the command line to one checked configuration."""
