# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands around runs: describe, doctor, validate, setup."""
