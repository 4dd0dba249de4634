# SPDX-License-Identifier: GPL-2.0-or-later
"""SteeredRun on a run that goes on: how commands come to the body rank, and how answers go back."""
