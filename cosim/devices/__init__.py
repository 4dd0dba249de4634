# SPDX-License-Identifier: GPL-2.0-or-later
"""Spike sources and spike sinks: what brain and body exchange.

Every kind has a file of its own with all that there is to say of it: its keys in ``experiment.toml``, what transfer
functions see, quantity and unit, and what stands for it in NEST (``poisson.py`` is a short one). `kinds` lists them;
`base` says what a kind has to offer.
"""
