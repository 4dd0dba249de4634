# SPDX-License-Identifier: GPL-2.0-or-later
"""Hands on a run that goes on: how commands come to the body rank, and how answers go back."""
