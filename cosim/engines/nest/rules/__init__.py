# SPDX-License-Identifier: GPL-2.0-or-later
"""How connection rules become synapses in NEST, one file for each rule; `registry` says which there are."""
